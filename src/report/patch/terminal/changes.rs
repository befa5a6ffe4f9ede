//! What a run changed: each package once, whatever the number of its hosts.

use super::super::fold::PatchView;
use super::super::groups::merged_packages;
use super::super::words::{digest, image_outcome, versions};
use super::out::Out;
use crate::report::paint::Ink;
use crate::report::words::{count, whom, widest};
use crate::shell::clean;

pub fn packages(out: &mut Out, view: &PatchView) {
    for (back, head) in [(false, "Packages"), (true, "Put back")] {
        let merged = merged_packages(view, back);
        if merged.is_empty() {
            continue;
        }
        out.heading(head, &count(merged.len(), "change"));
        let most = out.rows(merged.len());
        let names: Vec<String> = (merged.iter().take(most))
            .map(|m| clean(m.package, 28))
            .collect();
        let width = widest(names.iter().map(String::as_str), 28);
        for (one, name) in merged.iter().zip(&names) {
            let text = format!(
                "{} · {}",
                versions(one.from, one.to),
                whom(&one.hosts, view.hosts.len())
            );
            out.item(name, width, &text, None, 3);
        }
        out.more(merged.len(), most);
    }
}

pub fn conffiles(out: &mut Out, view: &PatchView) {
    let all: Vec<_> = (view.hosts.iter())
        .flat_map(|host| host.conffiles.iter().map(move |c| (host, c)))
        .collect();
    if all.is_empty() {
        return;
    }
    out.heading(
        "Configuration files",
        "changed on the host, and came changed",
    );
    let most = out.rows(all.len());
    for (host, file) in all.iter().take(most) {
        let text = format!(
            "{}: {} was {}; the other one: {}",
            clean(&host.name, 40),
            clean(&file.path, 200),
            clean(&file.what, 20),
            clean(&file.other, 200)
        );
        out.item("", 0, &text, None, 4);
    }
    out.more(all.len(), most);
}

pub fn images(out: &mut Out, view: &PatchView) {
    let all: Vec<_> = (view.hosts.iter())
        .flat_map(|host| host.images.iter().map(move |i| (host, i)))
        .collect();
    if all.is_empty() {
        return;
    }
    out.heading("Images", "");
    let most = out.rows(all.len());
    for (host, image) in all.iter().take(most) {
        let detail = match image.detail.is_empty() {
            true => String::new(),
            false => format!(": {}", clean(&image.detail, 200)),
        };
        let text = format!(
            "{}: {} {}: {} {} → {}: {}{detail}",
            clean(&host.name, 40),
            image.engine.word(),
            clean(&image.container, 60),
            clean(&image.image, 120),
            digest(image.from.as_deref()),
            digest(image.to.as_deref()),
            image_outcome(&image.outcome),
        );
        let ink = match image.outcome.as_str() {
            "updated" | "unchanged" => None,
            _ => Some(Ink::Bad),
        };
        out.item("", 0, &text, ink, 5);
    }
    out.more(all.len(), most);
}
