//! The knowledge of a worker, written so that the next one can go on from there: records in memory that the
//! supervisor holds and no file system sees.
//!
//! A record has two slots, and the older one is written. What was torn, is noise, or was written by another
//! version or for another configuration reads as if it were not there.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::Errno;

/// The longest payload of a record, in bytes.
pub const MAX_PAYLOAD: usize = SLOT - HEADER;

/// The size of a slot in bytes; the head takes as much.
const SLOT: usize = 512;

/// Before the payload stand the checksum, the sequence number and the payload's length.
const HEADER: usize = 8 + 8 + 2;

/// The first bytes of the head; the last of them is the version of the format.
const MAGIC: [u8; 8] = *b"hp-snap\x01";

/// Returns new anonymous memory for a [`Store`]. It is empty, and commands do not inherit it.
///
/// # Errors
/// The kernel refuses.
pub fn memory() -> io::Result<File> {
    let create = |flags| memfd_create("health-proxy", MemfdFlags::CLOEXEC | flags);
    // Nodes may refuse memory that could be executed; kernels before 6.3 do not know the flag that says so.
    let created = create(MemfdFlags::NOEXEC_SEAL).or_else(|error| match error {
        Errno::INVAL => create(MemfdFlags::empty()),
        error => Err(error),
    });
    Ok(File::from(created?))
}

/// All records, by their indices.
#[derive(Clone, Debug)]
pub struct Store {
    file: Arc<File>,
    seed: u64,
}

impl Store {
    /// Opens the records in `file`. `fingerprint` tells one configuration from others: what was written for
    /// a different one is thrown away.
    pub fn open(file: File, fingerprint: u64) -> Self {
        let mut head = [0; 16];
        head[..8].copy_from_slice(&MAGIC);
        head[8..].copy_from_slice(&fingerprint.to_le_bytes());
        let mut found = [0; 16];
        if file.read_exact_at(&mut found, 0).is_err() || found != head {
            // In this order, so that the head never stands before what is not its own. One that cannot be
            // written is missed by the next worker, which starts anew.
            let _ = file.set_len(0).and_then(|()| file.write_all_at(&head, 0));
        }
        Self { file: Arc::new(file), seed: checksum(BASIS, &head) }
    }

    /// Returns the record `index`, as it was last written. Only its one owner writes it.
    pub fn record(&self, index: usize) -> Record {
        let index = index as u64;
        let seed = checksum(self.seed, &index.to_le_bytes());
        let offset = SLOT as u64 + index * 2 * SLOT as u64;
        let file = Arc::clone(&self.file);
        let newest = (0..2).filter_map(|slot| read(&file, seed, offset + slot * SLOT as u64)).max();
        let (sequence, payload) = newest.map_or((0, None), |(sequence, payload)| (sequence, Some(payload)));
        Record { file, seed, offset, sequence, payload }
    }
}

/// One record, and what it holds.
#[derive(Debug)]
pub struct Record {
    file: Arc<File>,
    seed: u64,
    offset: u64,
    sequence: u64,
    payload: Option<Vec<u8>>,
}

impl Record {
    /// Returns what was last written, by this worker or the one before it.
    pub fn read(&self) -> Option<&[u8]> {
        self.payload.as_deref()
    }

    /// Writes `payload`, at most [`MAX_PAYLOAD`] bytes; touches nothing where it is what was last written.
    ///
    /// # Errors
    /// It is too long, or cannot be written. The record then reads as before.
    pub fn write(&mut self, payload: &[u8]) -> io::Result<()> {
        if self.read() == Some(payload) {
            return Ok(());
        }
        let sequence = self.sequence.wrapping_add(1);
        let slot = slot(self.seed, sequence, payload)?;
        self.file.write_all_at(&slot, self.offset + sequence % 2 * SLOT as u64)?;
        self.sequence = sequence;
        self.payload = Some(payload.to_vec());
        Ok(())
    }
}

/// Returns the bytes of a slot: checksum, sequence number, length, payload.
fn slot(seed: u64, sequence: u64, payload: &[u8]) -> io::Result<Vec<u8>> {
    let length = u16::try_from(payload.len()).ok().filter(|_| payload.len() <= MAX_PAYLOAD);
    let too_long = || {
        let found = payload.len();
        io::Error::new(ErrorKind::InvalidInput, format!("{found} bytes in a record of {MAX_PAYLOAD}"))
    };
    let length = length.ok_or_else(too_long)?;
    let rest = [&sequence.to_le_bytes(), &length.to_le_bytes()[..], payload].concat();
    Ok([&checksum(seed, &rest).to_le_bytes()[..], &rest].concat())
}

/// Reads sequence number and payload of the slot at `offset`, if it is whole.
fn read(file: &File, seed: u64, offset: u64) -> Option<(u64, Vec<u8>)> {
    let mut slot = [0; SLOT];
    let end = file.read_at(&mut slot, offset).ok()?;
    let (sum, rest) = slot[..end].split_first_chunk()?;
    let (sequence, after) = rest.split_first_chunk()?;
    let (length, payload) = after.split_first_chunk()?;
    let payload = payload.get(..u16::from_le_bytes(*length).into())?;
    let covered = &rest[..HEADER - size_of_val(sum) + payload.len()];
    let is_whole = u64::from_le_bytes(*sum) == checksum(seed, covered);
    is_whole.then(|| (u64::from_le_bytes(*sequence), payload.to_vec()))
}

/// The value with which [`checksum`] begins.
const BASIS: u64 = 0xcbf2_9ce4_8422_2325;

/// Returns the FNV-1a of 64 bits, gone on with from `seed`: against torn writes and noise, not against people.
fn checksum(seed: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(seed, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FINGERPRINT: u64 = 7;

    fn store(file: &File) -> Store {
        Store::open(file.try_clone().unwrap(), FINGERPRINT)
    }

    fn read(file: &File, index: usize) -> Option<Vec<u8>> {
        store(file).record(index).read().map(<[u8]>::to_vec)
    }

    fn write(file: &File, index: usize, payload: &[u8]) {
        store(file).record(index).write(payload).unwrap();
    }

    fn bytes(file: &File) -> Vec<u8> {
        let mut bytes = vec![0; file.metadata().unwrap().len().try_into().unwrap()];
        file.read_exact_at(&mut bytes, 0).unwrap();
        bytes
    }

    fn containing(bytes: &[u8]) -> File {
        let file = memory().unwrap();
        file.write_all_at(bytes, 0).unwrap();
        file
    }

    /// Returns the range from the first byte that differs to behind the last one.
    fn touched(old: &[u8], new: &[u8]) -> std::ops::Range<usize> {
        let differs = |at: &usize| old[*at] != new[*at];
        let all = 0..new.len();
        all.clone().find(differs).unwrap()..all.rev().find(differs).unwrap() + 1
    }

    fn payload() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(any::<u8>(), 0..=MAX_PAYLOAD)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn what_was_written_is_read_by_the_next_worker(
            writes in prop::collection::vec((0_usize..4, payload()), 0..24),
            has_one_worker in any::<bool>(),
        ) {
            let file = memory().unwrap();
            let mut expected = [const { None }; 4];
            let mut records: Vec<_> = (0..4).map(|index| store(&file).record(index)).collect();
            for (index, payload) in writes {
                let record = &mut records[index];
                record.write(&payload).unwrap();
                prop_assert_eq!(record.read(), Some(&payload[..]));
                if !has_one_worker {
                    *record = store(&file).record(index);
                }
                expected[index] = Some(payload);
            }
            for (index, expected) in expected.into_iter().enumerate() {
                prop_assert_eq!(read(&file, index), expected);
            }
        }

        #[test]
        fn a_write_torn_at_any_byte_leaves_what_was_there(
            before in prop::collection::vec(payload(), 0..4),
            torn in payload(),
            is_backwards in any::<bool>(),
        ) {
            let file = memory().unwrap();
            for payload in &before {
                write(&file, 1, payload);
            }
            let before = before.last().cloned();
            prop_assume!(before.as_ref() != Some(&torn));
            let mut old = bytes(&file);
            write(&file, 1, &torn);
            let new = bytes(&file);
            old.resize(new.len(), 0);
            let (scratch, touched) = (memory().unwrap(), touched(&old, &new));
            for at in touched.start..=touched.end {
                let (first, last) = if is_backwards { (&old, &new) } else { (&new, &old) };
                let mixed = [&first[..at], &last[at..]].concat();
                let expected = if mixed == new { Some(&torn) } else { before.as_ref() };
                scratch.write_all_at(&mixed, 0).unwrap();
                let read = read(&scratch, 1);
                prop_assert_eq!(read.as_ref(), expected, "torn at {}", at);
            }
        }

        #[test]
        fn noise_reads_as_empty(noise in prop::collection::vec(any::<u8>(), 0..8 * SLOT), has_head in any::<bool>()) {
            let file = memory().unwrap();
            write(&file, 0, b"");
            let head = if has_head { bytes(&file)[..SLOT].to_vec() } else { Vec::new() };
            let file = containing(&[head, noise].concat());
            for index in 0..4 {
                prop_assert_eq!(read(&file, index), None);
            }
            write(&file, 2, b"a");
            prop_assert_eq!(read(&file, 2), Some(b"a".to_vec()));
        }
    }

    #[test]
    fn a_different_configuration_or_version_reads_as_empty_and_is_thrown_away() {
        let file = memory().unwrap();
        write(&file, 0, b"a");
        let before = bytes(&file);
        assert_eq!(Store::open(file.try_clone().unwrap(), FINGERPRINT + 1).record(0).read(), None);
        assert_eq!(read(&file, 0), None, "it was thrown away");
        for at in 0..MAGIC.len() {
            let mut other = before.clone();
            other[at] ^= 1;
            assert_eq!(read(&containing(&other), 0), None, "byte {at} of the magic");
        }
        assert_eq!(read(&containing(&before), 0), Some(b"a".to_vec()));
    }

    #[test]
    fn a_slot_is_of_its_own_record_only() {
        let file = memory().unwrap();
        write(&file, 0, b"a");
        let bytes = bytes(&file);
        file.write_all_at(&bytes[SLOT..], 3 * SLOT as u64).unwrap();
        assert_eq!(read(&file, 1), None);
    }

    #[test]
    fn the_same_again_touches_nothing_and_what_is_too_long_changes_nothing() {
        let file = memory().unwrap();
        let mut record = store(&file).record(0);
        record.write(b"a").unwrap();
        let before = bytes(&file);
        record.write(b"a").unwrap();
        let error = record.write(&[0; MAX_PAYLOAD + 1]).unwrap_err();
        assert_eq!(error.to_string(), "495 bytes in a record of 494");
        assert_eq!(record.read(), Some(&b"a"[..]));
        assert_eq!(bytes(&file), before);
    }

    #[test]
    fn commands_do_not_inherit_it() {
        use std::os::fd::AsFd;
        let flags = rustix::io::fcntl_getfd(memory().unwrap().as_fd()).unwrap();
        assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
    }
}
