//! The locks shared by readers and the writer, and waiting for SQLite. `registry/interleaving_tests.rs` replaces them with
//! those of shuttle, to test task interleavings.

#[cfg(not(all(test, feature = "shuttle")))]
mod locks {
    pub(crate) use std::sync::atomic::AtomicI64;
    pub(crate) use std::sync::{Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard};

    /// Waits for SQLite.
    pub(crate) async fn await_sqlite<T>(work: impl Future<Output = T>) -> T {
        work.await
    }
}

#[cfg(all(test, feature = "shuttle"))]
mod locks {
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

    /// Waits for SQLite by blocking: the test's scheduler does not know its threads.
    pub(crate) async fn await_sqlite<T>(work: impl Future<Output = T>) -> T {
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

pub(crate) use locks::*;
