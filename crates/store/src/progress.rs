//! How far the index is, for those who must not miss what has just happened.

use std::sync::Arc;

use tokio::sync::{Notify, watch};

/// How far an index follows its log. Who fills it gathers entries for a while, and takes them at once when somebody waits here.
/// Clones are of the same index.
#[derive(Clone, Debug)]
pub struct IndexProgress {
    next: watch::Receiver<u64>,
    hurry: Arc<Notify>,
}

impl IndexProgress {
    /// Of an index that expects the entry at the position `next`, and whose filler waits for `hurry` beside its time.
    pub fn new(next: watch::Receiver<u64>, hurry: Arc<Notify>) -> Self {
        Self { next, hurry }
    }

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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_waits_makes_it_hurry_and_who_need_not_wait_does_not() {
        let (filled, next) = watch::channel(3);
        let hurry = Arc::new(Notify::new());
        let progress = IndexProgress::new(next, hurry.clone());
        assert!(progress.reaches(3).await);
        let filler = tokio::spawn(async move {
            hurry.notified().await;
            filled.send_replace(5);
            filled
        });
        tokio::task::yield_now().await;
        assert_eq!(progress.next(), 3, "nobody was told to hurry");
        assert!(progress.reaches(5).await);
        drop(filler.await.unwrap());
        assert!(progress.reaches(5).await, "what is there stays there");
        assert!(!progress.reaches(6).await, "nobody fills it");
    }
}
