//! The locks that readers and the writer meet at, and waiting for SQLite: what one test (`registry/orders.rs`) puts others
//! in the place of, to try the orders in which tasks can meet.

#[cfg(not(all(test, feature = "shuttle")))]
mod real {
    pub(crate) use std::sync::atomic::AtomicI64;
    pub(crate) use std::sync::{Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard};

    /// Waits for SQLite.
    pub(crate) async fn settled<T>(work: impl Future<Output = T>) -> T {
        work.await
    }
}

#[cfg(all(test, feature = "shuttle"))]
mod real {
    use std::pin::pin;
    use std::sync::Arc;
    use std::task::{Context, Poll, Wake, Waker};

    pub(crate) use shuttle::sync::atomic::AtomicI64;
    pub(crate) use shuttle::sync::{Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard};

    struct Unpark(std::thread::Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    /// Waits for SQLite by standing still: its thread is none that the scheduler of the test knows of.
    pub(crate) async fn settled<T>(work: impl Future<Output = T>) -> T {
        let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
        let mut context = Context::from_waker(&waker);
        let mut work = pin!(work);
        loop {
            match work.as_mut().poll(&mut context) {
                Poll::Ready(done) => return done,
                Poll::Pending => std::thread::park(),
            }
        }
    }
}

pub(crate) use real::*;
