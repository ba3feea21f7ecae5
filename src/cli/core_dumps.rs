//! Core dumps of this process, which would hold credentials: where the system allows it, there are none.

/// Keeps the memory of this process, and its environment, out of core dumps and away from other processes of its user.
#[cfg(unix)]
pub(super) fn prevent() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    // Where the system does not allow it, the program works all the same.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
    let maximum = getrlimit(Resource::Core).maximum;
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum });
}

#[cfg(not(unix))]
pub(super) fn prevent() {}
