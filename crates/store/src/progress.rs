//! How far the index is, for those who must not miss what has just happened.

use std::sync::Arc;

use tokio::sync::{Notify, watch};

/// What fills an index tells, and is told: the other end of [`IndexProgress`].
#[derive(Debug, Default)]
pub struct IndexFilling {
    /// The position of the entry that the index expects next.
    pub next: watch::Sender<u64>,
    /// Notified when somebody waits for the index.
    pub hurry: Arc<Notify>,
    /// How often the index was asked to be made again …
    pub asked: watch::Sender<u64>,
    /// … and how often of that it was emptied.
    pub emptied: watch::Sender<u64>,
}

impl IndexFilling {
    /// For those who wait for the index.
    pub fn progress(&self) -> IndexProgress {
        IndexProgress {
            next: self.next.subscribe(),
            hurry: self.hurry.clone(),
            asked: self.asked.clone(),
            emptied: self.emptied.subscribe(),
        }
    }
}

/// How far an index follows its log. Who fills it gathers entries for a while, and takes them at once when somebody waits here.
/// Clones are of the same index.
#[derive(Clone, Debug)]
pub struct IndexProgress {
    next: watch::Receiver<u64>,
    hurry: Arc<Notify>,
    asked: watch::Sender<u64>,
    emptied: watch::Receiver<u64>,
}

impl IndexProgress {
    /// The position of the entry that the index expects next: all before it are in the index.
    pub fn next(&self) -> u64 {
        *self.next.borrow()
    }

    /// Waits until all entries before `position` are in the index, for as long as it takes; false when nobody fills it any
    /// more.
    ///
    /// # Cancel safety
    /// May be dropped and called again.
    pub async fn reaches(&self, position: u64) -> bool {
        if self.next() < position {
            self.hurry.notify_one();
        }
        self.next.clone().wait_for(|&next| next >= position).await.is_ok()
    }

    /// Has the index made again from the log. Returns when it is empty and is being filled, or false when nobody fills it
    /// any more. It stays asked for when this is dropped.
    pub async fn rebuild(&self) -> bool {
        let mut wanted = 0;
        self.asked.send_modify(|asked| {
            *asked += 1;
            wanted = *asked;
        });
        self.emptied.clone().wait_for(|&emptied| emptied >= wanted).await.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_waits_makes_it_hurry_and_who_need_not_wait_does_not() {
        let filling = IndexFilling { next: watch::Sender::new(3), ..IndexFilling::default() };
        let progress = filling.progress();
        assert!(progress.reaches(3).await);
        let filler = tokio::spawn(async move {
            filling.hurry.notified().await;
            filling.next.send_replace(5);
            filling
        });
        tokio::task::yield_now().await;
        assert_eq!(progress.next(), 3, "nobody was told to hurry");
        assert!(progress.reaches(5).await);
        drop(filler.await.unwrap());
        assert!(progress.reaches(5).await, "what is there stays there");
        assert!(!progress.reaches(6).await, "nobody fills it");
    }

    #[tokio::test]
    async fn who_asks_for_another_waits_until_the_old_one_is_gone() {
        let filling = IndexFilling::default();
        let progress = filling.progress();
        for round in 1..=2 {
            let asking = tokio::spawn({
                let progress = progress.clone();
                async move { progress.rebuild().await }
            });
            filling.asked.subscribe().wait_for(|&asked| asked == round).await.unwrap();
            assert!(!asking.is_finished());
            filling.emptied.send_replace(round);
            assert!(asking.await.unwrap());
        }
        drop(filling);
        assert!(!progress.rebuild().await, "nobody fills it");
    }
}
