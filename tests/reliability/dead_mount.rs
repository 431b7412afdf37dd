//! A file system that never answers, as a mount of a server that is gone: what asks it hangs, and cannot be killed.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};

/// A mounted one; it goes with this value, and whoever hung on it is released.
#[derive(Debug)]
pub struct DeadMount(PathBuf);

/// The size of a read from the kernel, in bytes; it asks for no less.
const REQUEST: usize = 1 << 17;

/// Returns the answer to `FUSE_INIT` of protocol 7.31 (`include/uapi/linux/fuse.h`, `struct fuse_init_out`), in little
/// endian.
fn greeting(unique: &[u8]) -> Vec<u8> {
    let mut answer = Vec::new();
    answer.extend(80_u32.to_le_bytes());
    answer.extend(0_i32.to_le_bytes());
    answer.extend(unique);
    // The version, read-ahead, flags; the background limits in two bytes each; the largest write.
    for field in [7, 31, 0, 0, 0x000a_000c, 4096] {
        answer.extend(u32::to_le_bytes(field));
    }
    answer.resize(80, 0);
    answer
}

impl DeadMount {
    /// Mounts one at an empty directory. It needs root.
    pub fn at(directory: &Path) -> Self {
        let mut kernel = OpenOptions::new().read(true).write(true).open("/dev/fuse").expect("/dev/fuse");
        let options = format!("fd={},rootmode=40000,user_id=0,group_id=0,allow_other", kernel.as_raw_fd());
        let made = mount(Some("dead"), directory, Some("fuse"), MsFlags::empty(), Some(options.as_str()));
        made.expect("to be root");
        let mut request = vec![0; REQUEST];
        let length = kernel.read(&mut request).expect("a first request");
        let unique = request[..length].get(8..16).expect("a whole request");
        kernel.write_all(&greeting(unique)).expect("a greeting");
        std::thread::spawn(move || swallow(&kernel, request));
        Self(directory.to_owned())
    }
}

/// Takes every request and answers none. One that was taken is waited for even by a process that was killed.
fn swallow(mut kernel: &File, mut request: Vec<u8>) {
    while kernel.read(&mut request).is_ok() {}
}

impl Drop for DeadMount {
    fn drop(&mut self) {
        // The first one releases those who wait.
        let _ = umount2(&self.0, MntFlags::MNT_FORCE);
        let _ = umount2(&self.0, MntFlags::MNT_DETACH);
    }
}
