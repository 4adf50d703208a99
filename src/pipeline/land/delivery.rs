//! Which files were delivered, told by what they hold.
//!
//! See `source::discover` for the rules. A file whose name, size and time are those of one that
//! landed is not opened. Any other with a name that is known, and any that is as long as one that
//! landed, is hashed once, and what comes out is written down. One that is new by all of that may begin
//! with what is found nowhere else: so far it is hashed as well.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::error::Result;
use crate::ops::{Batches, Content};
use crate::pipeline::Deliveries;
use crate::runtime::Stop;
use crate::source::{InputFile, prefix_hashes};

/// The files of a source, by what is to be done with them.
#[derive(Default)]
pub(super) struct Sorted {
    /// Those to be landed, each from where on it is new.
    pub files: Vec<InputFile>,
    /// Those that hold what has landed under another time or name, with what they hold.
    pub seen: Vec<(InputFile, Content)>,
    /// Those of the ones to be landed that begin with what had landed under another name, with that.
    pub outgrown: Vec<(InputFile, Content)>,
    /// How many there are of each kind.
    pub deliveries: Deliveries,
}

/// Tells which of `found` are new, and from where on.
///
/// Errors: what the storage says; `Stopped`.
pub(super) fn sort(batches: &Batches, found: Vec<InputFile>, stop: &Stop) -> Result<Sorted> {
    let mut sorter = Sorter { batches, stop, sorted: Sorted::default(), held: HashMap::new() };
    let mut others = Vec::new();
    for file in found {
        match batches.known(&file) {
            Some(content) => sorter.hold(&file, content),
            None => others.extend(sorter.namesake(file)?),
        }
    }
    if !others.is_empty() {
        let mut landed = sorter.landed();
        let mut rest = Vec::new();
        for other in others {
            rest.extend(sorter.renamed(other, &mut landed)?);
        }
        for other in rest {
            sorter.begun(other, &mut landed)?;
        }
    }
    sorter.sorted.files.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(sorter.sorted)
}

struct Sorter<'a> {
    batches: &'a Batches,
    stop: &'a Stop,
    sorted: Sorted,
    /// What is still found where it was when it landed, by its name.
    held: HashMap<String, Content>,
}

/// What was landed, by its length.
type Landed = BTreeMap<u64, Vec<Delivered>>;

struct Delivered {
    name: String,
    content: Content,
    /// Whether it is still where it was, or was found elsewhere.
    is_found: bool,
}

impl Sorter<'_> {
    fn hold(&mut self, file: &InputFile, content: Option<Content>) {
        if let Some(content) = content {
            self.held.insert(file.name.to_string(), content);
        }
    }

    /// Compares `file`, which is not known by its size and time, with what landed last under its name;
    /// gives it back when it neither is that nor goes on from it.
    fn namesake(&mut self, file: InputFile) -> Result<Option<InputFile>> {
        let content = self.batches.content_of(&file.name);
        let Some(content) = content.filter(|content| content.bytes <= file.bytes) else {
            return Ok(Some(file));
        };
        let lengths = [content.bytes, file.bytes].into();
        let hashes = prefix_hashes(&file.path, &lengths, self.stop)?;
        let file = InputFile { hash: hashes.get(&file.bytes).copied(), ..file };
        if file.hash.is_none() || hashes.get(&content.bytes) != Some(&content.hash) {
            return Ok(Some(file));
        }
        if content.bytes == file.bytes {
            self.hold(&file, Some(content));
            self.sorted.deliveries.touched += 1;
            self.sorted.seen.push((file, content));
            return Ok(None);
        }
        let Some(from) = content.read_on else { return Ok(Some(file)) };
        self.hold(&file, Some(content));
        self.sorted.deliveries.grown += 1;
        self.sorted.files.push(InputFile { from, ..file });
        Ok(None)
    }

    /// All that was landed, and which of it is still there under some name.
    fn landed(&self) -> Landed {
        let (mut landed, mut counted) = (Landed::new(), BTreeSet::new());
        let outgrown: BTreeSet<_> = self.batches.outgrown().map(key).collect();
        for (name, content) in self.batches.contents() {
            if counted.insert(key((name, content))) {
                let is_held = self.held.get(name).is_some_and(|it| it.hash == content.hash);
                let is_found = is_held || outgrown.contains(&key((name, content)));
                let delivered = Delivered { name: name.to_owned(), content, is_found };
                landed.entry(content.bytes).or_default().push(delivered);
            }
        }
        // What was renamed is found under a name under which it did not land.
        let held = self.held.iter().map(|(name, content)| (name.as_str(), *content));
        for (name, content) in held.chain(self.batches.outgrown()) {
            if counted.contains(&key((name, content))) {
                continue;
            }
            let same = landed.get_mut(&content.bytes).into_iter().flatten();
            let mut lost = same.filter(|one| !one.is_found && one.content.hash == content.hash);
            if let Some(one) = lost.next() {
                one.is_found = true;
            }
        }
        landed
    }

    /// Compares `file` with what landed under other names; gives it back when it is none of that.
    fn renamed(&mut self, mut file: InputFile, landed: &mut Landed) -> Result<Option<InputFile>> {
        let Some(delivered) = landed.get_mut(&file.bytes) else { return Ok(Some(file)) };
        if file.hash.is_none() {
            let hashes = prefix_hashes(&file.path, &[file.bytes].into(), self.stop)?;
            file.hash = hashes.get(&file.bytes).copied();
        }
        let hash = file.hash;
        let same = delivered.iter_mut().filter(|one| Some(one.content.hash) == hash);
        let mut is_copy = false;
        for one in same {
            // Under its own name it had been replaced, and now it replaces what had done so.
            if one.is_found || one.name == *file.name {
                is_copy |= one.is_found;
                continue;
            }
            one.is_found = true;
            self.sorted.deliveries.moved += 1;
            self.sorted.seen.push((file, one.content));
            return Ok(None);
        }
        if is_copy {
            self.sorted.deliveries.copies += 1;
            self.add_whole(file);
            return Ok(None);
        }
        Ok(Some(file))
    }

    /// Compares how `file` begins with what landed under other names and is found nowhere: it goes on
    /// from the longest of that.
    fn begun(&mut self, mut file: InputFile, landed: &mut Landed) -> Result<()> {
        let shorter = landed.range(..file.bytes).filter(|(length, _)| **length > 0);
        let lost = shorter.filter(|(_, delivered)| delivered.iter().any(|one| one.is_lost(&file)));
        let mut lengths: BTreeSet<u64> = lost.map(|(length, _)| *length).collect();
        if lengths.is_empty() {
            self.add_whole(file);
            return Ok(());
        }
        lengths.insert(file.bytes);
        let mut hashes = prefix_hashes(&file.path, &lengths, self.stop)?;
        file.hash = hashes.remove(&file.bytes);
        if file.hash.is_none() {
            // It is shorter by now, and left out when it is read.
            hashes.clear();
        }
        let begun = hashes.iter().rev().find_map(|(length, hash)| {
            let mut delivered = landed.get_mut(length)?.iter_mut();
            let one = delivered.find(|one| one.is_lost(&file) && one.content.hash == *hash)?;
            one.is_found = true;
            Some((one.content, one.content.read_on?))
        });
        let Some((content, from)) = begun else {
            self.add_whole(file);
            return Ok(());
        };
        self.sorted.deliveries.grown += 1;
        self.sorted.outgrown.push((file.clone(), content));
        self.sorted.files.push(InputFile { from, ..file });
        Ok(())
    }

    fn add_whole(&mut self, file: InputFile) {
        match self.batches.knows(&file.name) {
            true => self.sorted.deliveries.rewritten += 1,
            false => self.sorted.deliveries.new += 1,
        }
        self.sorted.files.push(file);
    }
}

impl Delivered {
    /// Whether it is found nowhere, and `file`, which has another name, may go on from it.
    fn is_lost(&self, file: &InputFile) -> bool {
        !self.is_found && self.name != *file.name && self.content.read_on.is_some()
    }
}

/// What tells contents of a name from each other.
fn key((name, content): (&str, Content)) -> (&str, [u8; 32]) {
    (name, *content.hash.as_bytes())
}
