//! The file below redb. While it is being opened, writes are held back: redb begins to repair a
//! file before it knows that it can, and a file that we refuse must stay as it was found.

use std::io;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::RwLock;

use redb::BackendError;
use redb::StorageBackend;
use redb::backends::FileBackend;

/// A file whose changes wait in memory until [`HeldBack::release`].
#[derive(Clone, Debug)]
pub(super) struct HeldBack(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    file: FileBackend,
    /// In the order in which redb asked for them; `None` once released.
    changes: RwLock<Option<Vec<Change>>>,
}

#[derive(Debug)]
enum Change {
    Resize(u64),
    Write(u64, Vec<u8>),
    Sync,
}

impl HeldBack {
    pub(super) fn new(file: FileBackend) -> Self {
        Self(Arc::new(Inner { file, changes: RwLock::new(Some(Vec::new())) }))
    }

    /// Makes the changes, syncs included, in the order that redb chose; the next ones are made at once.
    pub(super) fn release(&self) -> io::Result<()> {
        let mut held = self.0.changes.write().unwrap_or_else(PoisonError::into_inner);
        for change in held.iter().flatten() {
            match change {
                Change::Resize(len) => self.0.file.set_len(*len)?,
                Change::Write(offset, data) => self.0.file.write(*offset, data)?,
                Change::Sync => self.0.file.sync_data()?,
            }
        }
        *held = None;
        Ok(())
    }

    /// Whether the change was held back.
    fn hold(&self, change: impl FnOnce() -> Change) -> bool {
        if !self.holding() {
            return false;
        }
        let mut held = self.0.changes.write().unwrap_or_else(PoisonError::into_inner);
        held.as_mut().is_some_and(|changes| {
            changes.push(change());
            true
        })
    }

    fn holding(&self) -> bool {
        self.0.changes.read().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    fn len_with(&self, changes: &[Change]) -> io::Result<u64> {
        let resized = changes.iter().rev().find_map(|change| match change {
            Change::Resize(len) => Some(*len),
            _ => None,
        });
        resized.map_or_else(|| self.0.file.len(), Ok)
    }

    fn read_with(&self, changes: &[Change], offset: u64, out: &mut [u8]) -> io::Result<()> {
        let end = offset.saturating_add(out.len() as u64);
        if end > self.len_with(changes)? {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let stored = part(out, offset, 0, self.0.file.len()?);
        let stored_len = stored.len();
        self.0.file.read(offset, stored)?;
        out[stored_len..].fill(0);
        for change in changes {
            match change {
                Change::Resize(len) => part(out, offset, *len, u64::MAX).fill(0),
                Change::Write(start, data) => {
                    let written = part(out, offset, *start, start + data.len() as u64);
                    let skipped = usize::try_from(offset.saturating_sub(*start)).unwrap_or(usize::MAX);
                    let from = data.get(skipped..).unwrap_or_default();
                    written.copy_from_slice(&from[..written.len()]);
                }
                Change::Sync => {}
            }
        }
        Ok(())
    }
}

/// The part of `out`, which begins at `offset` of the file, that lies between `start` and `end`.
fn part(out: &mut [u8], offset: u64, start: u64, end: u64) -> &mut [u8] {
    let len = out.len();
    let index = |at: u64| usize::try_from(at.saturating_sub(offset)).map_or(len, |at| at.min(len));
    &mut out[index(start)..index(end)]
}

impl StorageBackend for HeldBack {
    fn len(&self) -> io::Result<u64> {
        match &*self.0.changes.read().unwrap_or_else(PoisonError::into_inner) {
            Some(changes) => self.len_with(changes),
            None => self.0.file.len(),
        }
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        match &*self.0.changes.read().unwrap_or_else(PoisonError::into_inner) {
            Some(changes) => self.read_with(changes, offset, out),
            None => self.0.file.read(offset, out),
        }
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        if self.hold(|| Change::Resize(len)) { Ok(()) } else { self.0.file.set_len(len) }
    }

    fn sync_data(&self) -> io::Result<()> {
        if self.hold(|| Change::Sync) { Ok(()) } else { self.0.file.sync_data() }
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        if self.hold(|| Change::Write(offset, data.to_vec())) {
            Ok(())
        } else {
            self.0.file.write(offset, data)
        }
    }

    fn close(&self) -> io::Result<()> {
        self.0.file.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.file.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.file.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.file.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.file.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.file.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.file.query_lock_range(start, end)
    }
}
