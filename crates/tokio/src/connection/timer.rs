//! One timer for a connection's deadlines.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use tokio::time::Sleep;

/// A timer that is moved as rarely as can be.
///
/// A deadline moves later with every command, and setting a timer costs more than the command does. So the timer stays where it is: when
/// it fires before the deadline it is set anew, once in the length of a timeout. Only a deadline that comes earlier moves it at once.
#[derive(Debug, Default)]
pub(super) struct Timer {
    /// Made when it is first needed.
    sleep: Option<(Pin<Box<Sleep>>, Instant)>,
    waker: Option<Waker>,
}

impl Timer {
    /// What it was last set to.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.sleep.as_ref().map(|&(_, at)| at)
    }

    /// Sees to it that the task is woken at the deadline or before. Ready if the time has come.
    pub(super) fn arm(&mut self, cx: &mut Context<'_>, now: Instant, deadline: Instant) -> Poll<()> {
        let (sleep, set) = match &mut self.sleep {
            None => {
                let sleep = Box::pin(tokio::time::sleep_until(deadline.into()));
                (self.sleep.insert((sleep, deadline)), true)
            }
            Some(sleep) => {
                let set = deadline < sleep.1 || sleep.1 <= now;
                if set {
                    sleep.0.as_mut().reset(deadline.into());
                    sleep.1 = deadline;
                }
                (sleep, set)
            }
        };
        if !set && self.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            return Poll::Pending;
        }
        self.waker = Some(cx.waker().clone());
        sleep.0.as_mut().poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use std::time::Duration;

    fn now() -> Instant {
        tokio::time::Instant::now().into_std()
    }

    /// Waits as a connection does; gives how often it was woken.
    async fn wait(timer: &mut Timer, deadline: Instant) -> usize {
        let mut woken = 0;
        poll_fn(|cx| {
            woken += 1;
            if now() >= deadline {
                return Poll::Ready(());
            }
            if timer.arm(cx, now(), deadline).is_ready() {
                cx.waker().wake_by_ref();
            }
            Poll::Pending
        })
        .await;
        woken
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_that_moves_later_does_not_touch_the_timer() {
        let start = now();
        let mut timer = Timer::default();
        let first = start + Duration::from_secs(300);
        assert!(poll_fn(|cx| Poll::Ready(timer.arm(cx, now(), first))).await.is_pending());
        for second in 1..100 {
            let later = first + Duration::from_secs(second);
            assert!(poll_fn(|cx| Poll::Ready(timer.arm(cx, now(), later))).await.is_pending());
            assert_eq!(timer.deadline(), Some(first));
        }
        wait(&mut timer, first + Duration::from_secs(100)).await;
        assert_eq!(now(), first + Duration::from_secs(100));
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_that_moves_earlier_does() {
        let start = now();
        let mut timer = Timer::default();
        assert!(poll_fn(|cx| Poll::Ready(timer.arm(cx, now(), start + Duration::from_secs(300)))).await.is_pending());
        let woken = wait(&mut timer, start + Duration::from_secs(2)).await;
        assert_eq!(now(), start + Duration::from_secs(2));
        assert!(woken <= 3, "{woken}");
    }
}
