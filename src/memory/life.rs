//! The life of a container, as the next worker has to know it.

use super::Remember;
use super::bytes::{Reader, Writer};
use crate::life::{Incarnation, Remembered, StartupPath, Told};
use crate::witness::Witness;

/// `/startupz` itself, in place of a check's number.
const WHOLE: u64 = u64::MAX;

/// The number of startup paths of which is kept what the kubelet was told; a pod with more would be asked once too
/// often.
const MAX_TOLD: usize = 4;

/// The bytes of an answer beside its witnesses, at most: what begins it, its path, and their number.
const TOLD_BYTES: usize = 1 + 8 + 2;

impl Remember for Remembered {
    fn write(&self, writer: &mut Writer) {
        let Incarnation { id, number, began, is_joined } = self.incarnation;
        writer.flags([is_joined, self.was_asked, self.is_wired, self.has_passed]);
        writer.number(id);
        writer.number(number);
        writer.instant(began);
        writer.optional(self.seen, Writer::instant);
        writer.duration(self.usual_gap);
        writer.duration(self.early_gap);
        let kept = &self.told[..self.told.len().min(MAX_TOLD)];
        for (index, told) in kept.iter().enumerate() {
            let share = (writer.room().saturating_sub(1) / (kept.len() - index)).saturating_sub(TOLD_BYTES);
            writer.byte(1);
            writer.number(match told.path {
                StartupPath::Whole => WHOLE,
                StartupPath::Check(index) => index.into(),
            });
            let witnesses = told.witnesses.as_ref().map(|all| those_that_fit(all, share));
            writer.optional(witnesses.filter(|kept| !kept.is_empty()), |writer, witnesses| {
                writer.byte(u8::try_from(witnesses.len()).unwrap_or(u8::MAX));
                for witness in witnesses {
                    writer.witness(witness);
                }
            });
        }
        writer.byte(0);
    }

    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let [is_joined, was_asked, is_wired, has_passed] = reader.flags()?;
        let (id, number, began) = (reader.number()?, reader.number()?, reader.instant()?);
        let seen = reader.optional(Reader::instant)?;
        let (usual_gap, early_gap) = (reader.duration()?, reader.duration()?);
        let mut told = Vec::new();
        while reader.byte()? == 1 {
            let path = match reader.number()? {
                WHOLE => StartupPath::Whole,
                index => StartupPath::Check(index.try_into().ok()?),
            };
            let witnesses = reader.optional(|reader| {
                let count = reader.byte()?;
                (0..count).map(|_| reader.witness()).collect::<Option<Vec<_>>>()
            })?;
            told.push(Told { path, witnesses });
        }
        let incarnation = Incarnation { id, number, began, is_joined };
        Some(Self { incarnation, was_asked, is_wired, seen, has_passed, told, usual_gap, early_gap })
    }
}

/// Returns the first witnesses that `room` bytes can hold: where there are more, these few speak for all.
fn those_that_fit(witnesses: &[Witness], room: usize) -> &[Witness] {
    let mut left = room;
    let fits = |witness: &&Witness| {
        let rest = left.checked_sub(Writer::bytes_of(witness));
        left = rest.unwrap_or_default();
        rest.is_some()
    };
    &witnesses[..witnesses.iter().take_while(fits).count()]
}
