//! In which waves hosts are treated, and when a run must stop. Pure.

use crate::document::playbook::WaveSize;

/// A size as a number of hosts; a share is rounded up.
pub fn hosts_of(size: WaveSize, total: usize) -> usize {
    match size {
        WaveSize::Hosts(n) => n as usize,
        WaveSize::Percent(share) => (total * share as usize).div_ceil(100),
    }
}

/// Cuts `total` hosts into waves: the sizes in order, the last one repeated until all are in.
/// No sizes: one wave with everyone. A size of 0 counts as 1.
pub fn waves(total: usize, sizes: &[WaveSize]) -> Vec<std::ops::Range<usize>> {
    let mut out = Vec::new();
    let mut start = 0;
    let mut sizes = sizes.iter().copied().peekable();
    let mut size = total;
    while start < total {
        if let Some(next) = sizes.next() {
            size = hosts_of(next, total).max(1);
        }
        let end = (start + size).min(total);
        out.push(start..end);
        start = end;
    }
    out
}

/// How many hosts of a run may fail.
pub fn allowed(budget: WaveSize, total: usize) -> usize {
    match budget {
        // A share is rounded down here: a budget is not exceeded by rounding.
        WaveSize::Percent(share) => total * share as usize / 100,
        WaveSize::Hosts(n) => n as usize,
    }
}

/// Whether so many failed hosts use up the budget of a run.
pub fn is_spent(budget: WaveSize, total: usize, failed: usize) -> bool {
    failed > allowed(budget, total)
}

#[cfg(test)]
mod tests {
    use super::*;
    use WaveSize::{Hosts, Percent};

    #[test]
    fn the_last_size_is_repeated() {
        assert_eq!(waves(5, &[Hosts(1), Hosts(2)]), [0..1, 1..3, 3..5]);
        assert_eq!(
            waves(10, &[Hosts(1), Percent(25), Percent(100)]),
            [0..1, 1..4, 4..10]
        );
        assert_eq!(waves(3, &[]), vec![0..3; 1]);
        assert!(waves(0, &[Hosts(1)]).is_empty());
        assert_eq!(waves(2, &[Hosts(0)]), [0..1, 1..2]);
    }

    #[test]
    fn every_host_is_in_exactly_one_wave() {
        for total in 0..40 {
            for sizes in [vec![], vec![Percent(1)], vec![Hosts(3), Percent(50)]] {
                let all: Vec<usize> = waves(total, &sizes).into_iter().flatten().collect();
                assert_eq!(all, (0..total).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn the_budget_is_over_the_whole_run() {
        assert!(!is_spent(Hosts(0), 10, 0));
        assert!(is_spent(Hosts(0), 10, 1));
        assert!(!is_spent(Percent(10), 19, 1));
        assert!(is_spent(Percent(10), 19, 2));
    }
}
