//! The directories of an extraction: made as they are needed, kept open while they are used, and
//! dressed at the end, since writing into one changes its time.

use std::collections::HashMap;
use std::ffi::CString;
use std::io;
use std::sync::Arc;

use super::beneath::{Attributes, Dir, c_name};

/// Directories that are kept open.
const OPEN: usize = 128;
/// Of a directory that the archive has no entry for.
const IMPLICIT: u32 = 0o755;

struct Node {
    parent: u32,
    name: CString,
    /// `None`: other entries lie in it, but it has none itself (so far).
    attributes: Option<Attributes>,
}

pub struct Tree {
    /// The first is the top.
    nodes: Vec<Node>,
    known: HashMap<(u32, Box<[u8]>), u32>,
    open: HashMap<u32, (Arc<Dir>, u64)>,
    top: Arc<Dir>,
    clock: u64,
    /// Where the last entry lay: the next one lies there too, mostly.
    last: Option<(Vec<u8>, u32, Arc<Dir>)>,
}

/// Why a directory is not to be had.
#[derive(Debug)]
pub enum TreeError {
    /// Its name is taken by something else.
    Taken,
    /// There is an entry for it already.
    Twice,
    Io(io::Error),
}

impl From<io::Error> for TreeError {
    fn from(error: io::Error) -> Self {
        TreeError::Io(error)
    }
}

impl Tree {
    pub fn new(top: Arc<Dir>) -> Self {
        Tree {
            nodes: vec![Node {
                parent: 0,
                name: CString::default(),
                attributes: None,
            }],
            known: HashMap::new(),
            open: HashMap::new(),
            top,
            clock: 0,
            last: None,
        }
    }

    /// A directory by the names that lead to it, made where it is not there yet; and its number.
    pub fn directory(&mut self, names: &[&[u8]]) -> Result<(u32, Arc<Dir>), TreeError> {
        if let Some((path, id, dir)) = &self.last
            && same(path, names)
        {
            return Ok((*id, dir.clone()));
        }
        let id = self.reach(names)?;
        let dir = self.opened(id)?;
        let path = names.join(&b'/');
        self.last = Some((path, id, dir.clone()));
        Ok((id, dir))
    }

    /// An entry for a directory itself.
    pub fn declare(&mut self, names: &[&[u8]], attributes: Attributes) -> Result<(), TreeError> {
        let id = self.reach(names)?;
        let Some(node) = self.nodes.get_mut(id as usize) else {
            return Ok(());
        };
        if node.attributes.is_some() {
            return Err(TreeError::Twice);
        }
        node.attributes = Some(attributes);
        Ok(())
    }

    /// Where the names lead, if that was made (or is the top).
    pub fn find(&mut self, names: &[&[u8]]) -> Option<u32> {
        let mut id = 0;
        for name in names {
            id = *self.known.get(&(id, Box::from(*name)))?;
        }
        Some(id)
    }

    fn reach(&mut self, names: &[&[u8]]) -> Result<u32, TreeError> {
        let mut id = 0;
        for name in names {
            let key = (id, Box::from(*name));
            id = match self.known.get(&key) {
                Some(known) => *known,
                None => self.make(key)?,
            };
        }
        Ok(id)
    }

    fn make(&mut self, key: (u32, Box<[u8]>)) -> Result<u32, TreeError> {
        let name = c_name(&key.1)?;
        let parent = self.opened(key.0)?;
        match parent.make_directory(&name) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => return Err(TreeError::Taken),
            result => result?,
        }
        let id = u32::try_from(self.nodes.len())
            .map_err(|_| io::Error::other("more directories than can be counted"))?;
        self.nodes.push(Node {
            parent: key.0,
            name,
            attributes: None,
        });
        self.known.insert(key, id);
        Ok(id)
    }

    /// Opens a directory that was made, from the nearest open one above it.
    pub fn opened(&mut self, id: u32) -> io::Result<Arc<Dir>> {
        if id == 0 {
            return Ok(self.top.clone());
        }
        self.clock += 1;
        if let Some((dir, used)) = self.open.get_mut(&id) {
            *used = self.clock;
            return Ok(dir.clone());
        }
        let node = self
            .nodes
            .get(id as usize)
            .ok_or_else(|| io::Error::other("a directory that was never made"))?;
        let (parent, name) = (node.parent, node.name.clone());
        let dir = Arc::new(self.opened(parent)?.subdirectory(&name)?);
        if self.open.len() >= OPEN {
            let oldest = self.open.iter().min_by_key(|(_, (_, used))| *used);
            if let Some(oldest) = oldest.map(|(id, _)| *id) {
                self.open.remove(&oldest);
            }
        }
        self.open.insert(id, (dir.clone(), self.clock));
        Ok(dir)
    }

    /// Gives all directories their owners, modes and times, those within before those around them:
    /// a mode may shut us out.
    pub fn dress(&mut self, umask: u32) -> Result<(), (String, io::Error)> {
        self.last = None;
        for id in (1..self.nodes.len() as u32).rev() {
            let dir = self.opened(id).map_err(|e| (self.path(id), e))?;
            let result = match self.nodes.get(id as usize).and_then(|n| n.attributes) {
                Some(attributes) => dir.dress(&attributes),
                None => dir.set_mode(IMPLICIT & !umask),
            };
            result.map_err(|e| (self.path(id), e))?;
            self.open.remove(&id);
        }
        Ok(())
    }

    /// For messages.
    fn path(&self, mut id: u32) -> String {
        let mut names = Vec::new();
        while id != 0 {
            let Some(node) = self.nodes.get(id as usize) else {
                break;
            };
            names.push(super::read::shown(node.name.as_bytes()));
            id = node.parent;
        }
        names.reverse();
        names.join("/")
    }
}

/// Whether `path` is the names joined.
fn same(path: &[u8], names: &[&[u8]]) -> bool {
    let mut rest = path;
    for (i, name) in names.iter().enumerate() {
        if i > 0 {
            match rest.strip_prefix(b"/") {
                Some(after) => rest = after,
                None => return false,
            }
        }
        match rest.strip_prefix(*name) {
            Some(after) => rest = after,
            None => return false,
        }
    }
    rest.is_empty()
}
