//! The blocks of a tar archive of the GNU form: 512 bytes for each entry, and before it further
//! blocks for a name or a link that has no room there. Numbers that octal digits can't hold are
//! binary.

/// Everything in a tar is a multiple of this, in bytes.
pub(super) const BLOCK: usize = 512;
/// Bytes of a name that have room in a header, with the NUL that older readers want.
const NAME: usize = 99;

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    File,
    Hardlink,
    Symlink,
    Directory,
}

/// Of an entry, apart from what it is and where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Meta {
    /// Permission bits.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    /// Seconds since 1970.
    pub mtime: i64,
}

/// Appends the blocks that begin an entry. `size`: of the bytes that follow.
pub(super) fn put(out: &mut Vec<u8>, kind: Type, path: &[u8], link: &[u8], meta: Meta, size: u64) {
    let mut name = path.to_vec();
    if kind == Type::Directory {
        name.push(b'/');
    }
    if name.len() > NAME {
        put_long(out, b'L', &name);
    }
    if link.len() > NAME {
        put_long(out, b'K', link);
    }
    let flag = match kind {
        Type::File => b'0',
        Type::Hardlink => b'1',
        Type::Symlink => b'2',
        Type::Directory => b'5',
    };
    put_block(out, flag, &name, link, meta, size);
}

/// A name or link of any length, as the content of an entry before the one that it belongs to.
fn put_long(out: &mut Vec<u8>, flag: u8, name: &[u8]) {
    let size = name.len() as u64 + 1;
    put_block(out, flag, b"././@LongLink", b"", Meta::default(), size);
    out.extend_from_slice(name);
    out.push(0);
    out.resize(out.len().next_multiple_of(BLOCK), 0);
}

fn put_block(out: &mut Vec<u8>, flag: u8, name: &[u8], link: &[u8], meta: Meta, size: u64) {
    let mut block = [0_u8; BLOCK];
    text(&mut block[0..100], name);
    number(&mut block[100..108], i128::from(meta.mode));
    number(&mut block[108..116], i128::from(meta.uid));
    number(&mut block[116..124], i128::from(meta.gid));
    number(&mut block[124..136], i128::from(size));
    number(&mut block[136..148], i128::from(meta.mtime));
    block[148..156].fill(b' ');
    block[156] = flag;
    text(&mut block[157..257], link);
    block[257..265].copy_from_slice(b"ustar  \0");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    number(&mut block[148..155], i128::from(sum));
    out.extend_from_slice(&block);
}

fn text(field: &mut [u8], text: &[u8]) {
    let length = text.len().min(NAME);
    field[..length].copy_from_slice(&text[..length]);
}

/// Octal digits and a NUL; where they don't suffice (or below zero), binary with the top bit set.
fn number(field: &mut [u8], number: i128) {
    let digits = field.len() - 1;
    if number >= 0 && number < 1_i128 << (3 * digits) {
        let mut rest = number;
        for digit in field[..digits].iter_mut().rev() {
            *digit = b'0' + (rest & 7) as u8;
            rest >>= 3;
        }
        field[digits] = 0;
        return;
    }
    let bytes = number.to_be_bytes();
    let from = bytes.len() - field.len();
    field.copy_from_slice(&bytes[from..]);
    field[0] |= 0x80;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_reader_reads_what_is_written() {
        let long = vec![b'n'; 300];
        let odd = b"\xff\xfe odd".to_vec();
        let exact = vec![b'e'; 99];
        for path in [b"a".to_vec(), exact, vec![b'e'; 100], long.clone(), odd] {
            let meta = Meta {
                mode: 0o4755,
                uid: u32::MAX - 1,
                gid: 7,
                mtime: 1 << 40,
            };
            let mut out = Vec::new();
            put(&mut out, Type::Symlink, &path, &long, meta, 0);
            out.resize(out.len() + 2 * BLOCK, 0);
            let mut archive = tar::Archive::new(out.as_slice());
            let entry = archive.entries().unwrap().next().unwrap().unwrap();
            assert_eq!(entry.path_bytes().as_ref(), path);
            assert_eq!(entry.link_name_bytes().unwrap().as_ref(), long);
            assert_eq!(entry.header().mode().unwrap(), 0o4755);
            assert_eq!(entry.header().uid().unwrap(), u64::from(u32::MAX - 1));
            assert_eq!(entry.header().gid().unwrap(), 7);
            assert_eq!(entry.header().mtime().unwrap(), 1 << 40);
        }
    }

    #[test]
    fn sizes_beyond_octal_and_times_before_1970_are_binary() {
        let meta = Meta {
            mtime: -5,
            ..Meta::default()
        };
        let mut out = Vec::new();
        put(&mut out, Type::File, b"a", b"", meta, 1 << 40);
        assert_eq!(out.len(), BLOCK);
        let header = tar::Header::from_byte_slice(&out);
        assert_eq!(header.entry_size().unwrap(), 1 << 40);
        assert_eq!(&out[136..148], [&[0xff; 11][..], &[0xfb]].concat());
        put(&mut out, Type::File, b"a", b"", meta, (8 << 30) - 1);
        assert_eq!(&out[BLOCK + 124..BLOCK + 136], b"77777777777\0");
    }
}
