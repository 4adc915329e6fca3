//! A file system under SQLite that forgets what was not synced.
//!
//! It passes everything on to the system's own, and remembers of every file what a sync has made
//! durable and what was written since. [`Disk::cut`] is the power cut: from then on everything fails.
//! [`Disk::after_the_cut`] then makes the files what a disk may hold afterwards: what was synced, and
//! of what was not any sectors, in any order, the last write torn like the others.

use std::collections::HashMap;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, Once};

use rusqlite::ffi::{
    self, SQLITE_CANTOPEN, SQLITE_IOERR, SQLITE_OK, SQLITE_OPEN_MAIN_DB, SQLITE_OPEN_MAIN_JOURNAL, SQLITE_OPEN_WAL,
    sqlite3_file, sqlite3_int64, sqlite3_io_methods, sqlite3_vfs,
};

/// The name to open a connection with.
pub const NAME: &str = "powercut";
/// What a disk writes whole, in bytes.
const SECTOR: usize = 512;

enum Write {
    Bytes(usize, Vec<u8>),
    Length(usize),
}

#[derive(Default)]
struct Contents {
    durable: Vec<u8>,
    since: Vec<Write>,
}

impl Contents {
    fn apply(&mut self, write: &Write) {
        match write {
            Write::Bytes(at, bytes) => {
                if self.durable.len() < at + bytes.len() {
                    self.durable.resize(at + bytes.len(), 0);
                }
                self.durable[*at..at + bytes.len()].copy_from_slice(bytes);
            }
            Write::Length(length) => self.durable.truncate(*length),
        }
    }
}

/// The files of one folder.
#[derive(Default)]
struct State {
    files: HashMap<PathBuf, Contents>,
    cut: bool,
    /// Writes and syncs until the power is cut by itself.
    left: Option<u64>,
    syncs: u64,
}

static STATES: Mutex<Option<HashMap<PathBuf, State>>> = Mutex::new(None);

fn with<R>(folder: &Path, act: impl FnOnce(&mut State) -> R) -> R {
    let mut states = STATES.lock().unwrap();
    act(states.get_or_insert_default().entry(folder.to_owned()).or_default())
}

/// The disk that a folder is on.
pub struct Disk(PathBuf);

impl Disk {
    /// Registers the file system with SQLite, and starts to remember this folder.
    pub fn new(folder: &Path) -> Self {
        static REGISTER: Once = Once::new();
        REGISTER.call_once(register);
        with(folder, |state| *state = State::default());
        Self(folder.to_owned())
    }

    /// Cuts the power after this many more writes and syncs.
    pub fn cut_after(&self, writes: u64) {
        with(&self.0, |state| state.left = Some(writes));
    }

    /// Cuts the power now.
    pub fn cut(&self) {
        with(&self.0, |state| state.cut = true);
    }

    /// Whether the power is cut.
    pub fn is_cut(&self) -> bool {
        with(&self.0, |state| state.cut)
    }

    /// How often something was made durable.
    pub fn syncs(&self) -> u64 {
        with(&self.0, |state| state.syncs)
    }

    /// Makes the files what the disk holds, and switches the power on again. `survives` says of each
    /// sector that was not synced whether it got there.
    pub fn after_the_cut(&self, mut survives: impl FnMut() -> bool) {
        with(&self.0, |state| {
            assert!(state.cut, "the power is on");
            for (path, contents) in &mut state.files {
                for write in std::mem::take(&mut contents.since) {
                    match write {
                        Write::Bytes(at, bytes) => {
                            let mut from = 0;
                            while from < bytes.len() {
                                let to = bytes.len().min((at + from) / SECTOR * SECTOR + SECTOR - at);
                                if survives() {
                                    contents.apply(&Write::Bytes(at + from, bytes[from..to].to_vec()));
                                }
                                from = to;
                            }
                        }
                        Write::Length(_) if survives() => contents.apply(&write),
                        Write::Length(_) => {}
                    }
                }
                std::fs::write(path, &contents.durable).unwrap();
            }
            // The index of the log is memory shared by processes: it is gone with them.
            for entry in std::fs::read_dir(&self.0).unwrap() {
                let path = entry.unwrap().path();
                if path.to_string_lossy().ends_with("-shm") {
                    std::fs::remove_file(path).unwrap();
                }
            }
            state.cut = false;
            state.left = None;
        });
    }
}

/// One of SQLite's open files: this, and then the system's own.
#[repr(C)]
struct Wrapped {
    base: sqlite3_file,
    /// The path of a file that is remembered, else null.
    path: *mut PathBuf,
}

/// Bytes of [`Wrapped`], rounded up so that what follows is aligned.
const HEADER: usize = size_of::<Wrapped>().next_multiple_of(16);

/// # Safety
/// `file` was opened by [`open`].
unsafe fn inner(file: *mut sqlite3_file) -> *mut sqlite3_file {
    // SAFETY: `szOsFile` has room for the system's file after the header.
    unsafe { file.cast::<u8>().add(HEADER).cast() }
}

/// # Safety
/// `file` was opened by [`open`], and is open.
unsafe fn methods(file: *mut sqlite3_file) -> (&'static sqlite3_io_methods, *mut sqlite3_file) {
    // SAFETY: as asked for; the system's methods are static.
    unsafe {
        let inner = inner(file);
        (&*(*inner).pMethods, inner)
    }
}

/// Does something to a remembered file's folder; `None` for files that are not.
///
/// # Safety
/// `file` was opened by [`open`], and is open.
unsafe fn remember<R>(file: *mut sqlite3_file, act: impl FnOnce(&mut State, &Path) -> R) -> Option<R> {
    // SAFETY: as asked for; the path lives until the file is closed.
    let path = unsafe { (*file.cast::<Wrapped>()).path.as_ref() }?;
    let folder = path.parent()?;
    Some(with(folder, |state| act(state, path)))
}

/// Counts a write or sync; false when the power is off.
fn powered(state: &mut State) -> bool {
    match &mut state.left {
        Some(0) => state.cut = true,
        Some(left) => *left -= 1,
        None => {}
    }
    !state.cut
}

unsafe extern "C" fn open(
    vfs: *mut sqlite3_vfs,
    name: ffi::sqlite3_filename,
    file: *mut sqlite3_file,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    // SAFETY: SQLite hands in a file of `szOsFile` bytes and a name that ends with 0, or null.
    unsafe {
        let wrapped = file.cast::<Wrapped>();
        (*wrapped).base.pMethods = std::ptr::null();
        (*wrapped).path = std::ptr::null_mut();
        let wanted = SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_WAL | SQLITE_OPEN_MAIN_JOURNAL;
        let mut path = None;
        if !name.is_null() && flags & wanted != 0 {
            let found = PathBuf::from(CStr::from_ptr(name).to_string_lossy().into_owned());
            let folder = found.parent().unwrap_or(Path::new("/")).to_owned();
            if with(&folder, |state| state.cut) {
                return SQLITE_CANTOPEN;
            }
            path = Some((folder, found));
        }
        let real = (*vfs).pAppData.cast::<sqlite3_vfs>();
        let Some(open) = (*real).xOpen else {
            return SQLITE_CANTOPEN;
        };
        let code = open(real, name, inner(file), flags, out);
        if code != SQLITE_OK {
            return code;
        }
        if let Some((folder, path)) = path {
            with(&folder, |state| {
                // What was there when it was first opened is durable.
                let read = || std::fs::read(&path).unwrap_or_default();
                state.files.entry(path.clone()).or_insert_with(|| Contents {
                    durable: read(),
                    since: Vec::new(),
                });
            });
            (*wrapped).path = Box::into_raw(Box::new(path));
        }
        (*wrapped).base.pMethods = &raw const METHODS;
        SQLITE_OK
    }
}

unsafe extern "C" fn delete(vfs: *mut sqlite3_vfs, name: *const c_char, sync: c_int) -> c_int {
    // SAFETY: SQLite hands in a name that ends with 0.
    unsafe {
        let path = PathBuf::from(CStr::from_ptr(name).to_string_lossy().into_owned());
        let folder = path.parent().unwrap_or(Path::new("/")).to_owned();
        let on = with(&folder, |state| {
            if !state.cut {
                state.files.remove(&path);
            }
            !state.cut
        });
        let real = (*vfs).pAppData.cast::<sqlite3_vfs>();
        match (*real).xDelete {
            Some(delete) if on => delete(real, name, sync),
            _ => SQLITE_IOERR,
        }
    }
}

unsafe extern "C" fn close(file: *mut sqlite3_file) -> c_int {
    // SAFETY: SQLite closes what it opened, once.
    unsafe {
        let (real, inner) = methods(file);
        let wrapped = file.cast::<Wrapped>();
        if !(*wrapped).path.is_null() {
            drop(Box::from_raw((*wrapped).path));
            (*wrapped).path = std::ptr::null_mut();
        }
        real.xClose.map_or(SQLITE_OK, |close| close(inner))
    }
}

unsafe extern "C" fn read(file: *mut sqlite3_file, to: *mut c_void, amount: c_int, at: sqlite3_int64) -> c_int {
    // SAFETY: SQLite's own arguments are passed on.
    unsafe {
        if remember(file, |state, _| state.cut) == Some(true) {
            return SQLITE_IOERR;
        }
        let (real, inner) = methods(file);
        real.xRead.map_or(SQLITE_IOERR, |read| read(inner, to, amount, at))
    }
}

unsafe extern "C" fn write(file: *mut sqlite3_file, from: *const c_void, amount: c_int, at: sqlite3_int64) -> c_int {
    // SAFETY: `from` holds `amount` bytes; SQLite's own arguments are passed on.
    unsafe {
        let bytes = std::slice::from_raw_parts(from.cast::<u8>(), usize::try_from(amount).unwrap_or(0)).to_vec();
        let on = remember(file, |state, path| {
            let on = powered(state);
            // The write during which the power goes is one that may be torn.
            if let Some(contents) = state.files.get_mut(path) {
                contents
                    .since
                    .push(Write::Bytes(usize::try_from(at).unwrap_or(0), bytes));
            }
            on
        });
        if on == Some(false) {
            return SQLITE_IOERR;
        }
        let (real, inner) = methods(file);
        real.xWrite.map_or(SQLITE_IOERR, |write| write(inner, from, amount, at))
    }
}

unsafe extern "C" fn truncate(file: *mut sqlite3_file, size: sqlite3_int64) -> c_int {
    // SAFETY: SQLite's own arguments are passed on.
    unsafe {
        let on = remember(file, |state, path| {
            let on = powered(state);
            if let Some(contents) = state.files.get_mut(path) {
                contents.since.push(Write::Length(usize::try_from(size).unwrap_or(0)));
            }
            on
        });
        if on == Some(false) {
            return SQLITE_IOERR;
        }
        let (real, inner) = methods(file);
        real.xTruncate.map_or(SQLITE_IOERR, |truncate| truncate(inner, size))
    }
}

/// What is synced is durable; the system's own sync is not asked, since this disk is the file.
unsafe extern "C" fn sync(file: *mut sqlite3_file, _flags: c_int) -> c_int {
    // SAFETY: SQLite syncs what it opened.
    let on = unsafe {
        remember(file, |state, path| {
            if !powered(state) {
                return false;
            }
            state.syncs += 1;
            if let Some(contents) = state.files.get_mut(path) {
                for write in std::mem::take(&mut contents.since) {
                    contents.apply(&write);
                }
            }
            true
        })
    };
    if on == Some(false) { SQLITE_IOERR } else { SQLITE_OK }
}

macro_rules! pass_on {
    ($($name:ident as $method:ident($($argument:ident: $type:ty),*) else $missing:expr;)*) => {
        $(unsafe extern "C" fn $name(file: *mut sqlite3_file, $($argument: $type),*) -> c_int {
            // SAFETY: SQLite's own arguments are passed on.
            unsafe {
                let (real, inner) = methods(file);
                real.$method.map_or($missing, |method| method(inner, $($argument),*))
            }
        })*
    };
}

pass_on! {
    file_size as xFileSize(size: *mut sqlite3_int64) else SQLITE_IOERR;
    lock as xLock(level: c_int) else SQLITE_IOERR;
    unlock as xUnlock(level: c_int) else SQLITE_IOERR;
    check_reserved as xCheckReservedLock(out: *mut c_int) else SQLITE_IOERR;
    control as xFileControl(op: c_int, argument: *mut c_void) else SQLITE_IOERR;
    sector_size as xSectorSize() else 4096;
    characteristics as xDeviceCharacteristics() else 0;
    shm_map as xShmMap(page: c_int, size: c_int, extend: c_int, out: *mut *mut c_void) else SQLITE_IOERR;
    shm_lock as xShmLock(offset: c_int, n: c_int, flags: c_int) else SQLITE_IOERR;
    shm_unmap as xShmUnmap(delete: c_int) else SQLITE_IOERR;
}

unsafe extern "C" fn shm_barrier(file: *mut sqlite3_file) {
    // SAFETY: SQLite's own file.
    unsafe {
        let (real, inner) = methods(file);
        if let Some(barrier) = real.xShmBarrier {
            barrier(inner);
        }
    }
}

/// Version 2: with a shared index for the log, without memory mapping.
static METHODS: sqlite3_io_methods = sqlite3_io_methods {
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved),
    xFileControl: Some(control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};

fn register() {
    // SAFETY: the system's file system is there for good, and so is the copy made of it here, which
    // keeps its other functions; they get the copy as first argument and do not look into it.
    unsafe {
        let real = ffi::sqlite3_vfs_find(std::ptr::null());
        assert!(!real.is_null(), "SQLite has a file system");
        let mut copy = *real;
        copy.szOsFile += c_int::try_from(HEADER).unwrap();
        copy.zName = c"powercut".as_ptr();
        copy.pNext = std::ptr::null_mut();
        copy.pAppData = real.cast();
        copy.xOpen = Some(open);
        copy.xDelete = Some(delete);
        assert_eq!(ffi::sqlite3_vfs_register(Box::into_raw(Box::new(copy)), 0), SQLITE_OK);
    }
}
