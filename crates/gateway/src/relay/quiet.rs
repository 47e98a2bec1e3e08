//! A future that is nearly never ready, beside one that is woken all the time.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

/// Polls a future only when it was woken itself, not each time its task is.
///
/// A relay is woken twice by every packet; what ends a session otherwise needs not be asked each time.
pub(super) struct Quiet<F> {
    future: Pin<Box<F>>,
    bell: Arc<Bell>,
    /// Of the bell.
    waker: Waker,
    /// The task that the bell wakes.
    task: Option<Waker>,
}

/// What wakes the future: it remembers that it rang.
struct Bell {
    rang: AtomicBool,
    task: Mutex<Option<Waker>>,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rang.store(true, Ordering::Release);
        if let Some(task) = &*self.task.lock().unwrap_or_else(PoisonError::into_inner) {
            task.wake_by_ref();
        }
    }
}

impl<F: Future> Quiet<F> {
    /// Polled at the first opportunity, and then when woken.
    pub(super) fn new(future: F) -> Self {
        let bell = Arc::new(Bell { rang: AtomicBool::new(true), task: Mutex::default() });
        Self { future: Box::pin(future), waker: bell.clone().into(), bell, task: None }
    }

    /// As [`Future::poll`].
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<F::Output> {
        if self.task.as_ref().is_none_or(|task| !task.will_wake(cx.waker())) {
            self.task = Some(cx.waker().clone());
            // Before the bell is looked at: one that rings later wakes this task.
            *self.bell.task.lock().unwrap_or_else(PoisonError::into_inner) = self.task.clone();
        }
        if !self.bell.rang.swap(false, Ordering::Acquire) {
            return Poll::Pending;
        }
        self.future.as_mut().poll(&mut Context::from_waker(&self.waker))
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::atomic::AtomicUsize;

    use tokio::sync::oneshot;

    use super::*;

    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn task() -> (Arc<Count>, Waker) {
        let count = Arc::new(Count(AtomicUsize::new(0)));
        (count.clone(), count.into())
    }

    #[test]
    fn it_is_polled_once_and_then_when_it_was_woken() {
        let (ready, mut receiver) = oneshot::channel::<u8>();
        let mut polls = 0;
        let mut quiet = Quiet::new(poll_fn(|cx| {
            polls += 1;
            Pin::new(&mut receiver).poll(cx).map(Result::unwrap)
        }));
        let (woken, waker) = task();
        for _ in 0..100 {
            assert!(quiet.poll(&mut Context::from_waker(&waker)).is_pending());
        }
        ready.send(7).unwrap();
        assert_eq!(woken.0.load(Ordering::SeqCst), 1);
        assert_eq!(quiet.poll(&mut Context::from_waker(&waker)), Poll::Ready(7));
        drop(quiet);
        assert_eq!(polls, 2);
    }

    #[test]
    fn the_task_that_polled_last_is_woken() {
        let (ready, receiver) = oneshot::channel::<u8>();
        let mut quiet = Quiet::new(receiver);
        let ((first, one), (second, two)) = (task(), task());
        assert!(quiet.poll(&mut Context::from_waker(&one)).is_pending());
        assert!(quiet.poll(&mut Context::from_waker(&two)).is_pending());
        ready.send(1).unwrap();
        assert_eq!((first.0.load(Ordering::SeqCst), second.0.load(Ordering::SeqCst)), (0, 1));
        assert_eq!(quiet.poll(&mut Context::from_waker(&two)), Poll::Ready(Ok(1)));
    }

    #[test]
    fn one_that_wakes_itself_is_polled_again() {
        let mut left = 3;
        let mut quiet = Quiet::new(poll_fn(move |cx| {
            left -= 1;
            if left == 0 {
                return Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        }));
        let (woken, waker) = task();
        for wakes in 1..3 {
            assert!(quiet.poll(&mut Context::from_waker(&waker)).is_pending());
            assert_eq!(woken.0.load(Ordering::SeqCst), wakes);
        }
        assert!(quiet.poll(&mut Context::from_waker(&waker)).is_ready());
    }
}
