//! Operators' own policies: the files `policies/*.cedar` of the data folder.

use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use bartizan_access::Policies;

use crate::failure::Failure;

/// The policies of a folder, and out of how many files they are.
#[derive(Clone, Debug)]
pub(crate) struct PolicyFiles {
    pub(crate) policies: Policies,
    pub(crate) files: u64,
}

impl PolicyFiles {
    /// Reads every `*.cedar` file of `folder`, in the order of their names. A folder that is not there has none.
    ///
    /// # Errors
    /// Every fault with file and line; nothing of the files may be used then.
    pub(crate) fn read(folder: &Path) -> Result<Self, Failure> {
        let unreadable = |path: &Path, e: std::io::Error| {
            Failure::of_file(format!("cannot read the policies in {}", path.display()), &e)
        };
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(e) if e.kind() == ErrorKind::NotFound => {
                return Ok(Self { policies: Policies::default(), files: 0 });
            }
            Err(e) => return Err(unreadable(folder, e)),
        };
        let mut texts = Vec::new();
        for entry in entries {
            let path = entry.map_err(|e| unreadable(folder, e))?.path();
            if path.extension() == Some(OsStr::new("cedar")) {
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                texts.push((name, fs::read_to_string(&path).map_err(|e| unreadable(&path, e))?));
            }
        }
        texts.sort();
        let parsed = Policies::parse(texts.iter().map(|(name, text)| (name.as_str(), text.as_str())));
        let policies = parsed.map_err(|errors| {
            Failure::new(format!("the policies in {} are refused\n{errors}", folder.display()))
                .hint("`bartizand check` names every fault; grants are judged without files, too")
        })?;
        Ok(Self { policies, files: texts.len() as u64 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_in_order_and_faults_name_file_and_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("policies");
        assert_eq!(PolicyFiles::read(&path).unwrap().files, 0, "there need be none");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("b.cedar"), "forbid (principal, action == Action::\"exec\", resource);").unwrap();
        fs::write(path.join("a.cedar"), "// nothing\n").unwrap();
        fs::write(path.join("notes.txt"), "not a policy").unwrap();
        let read = PolicyFiles::read(&path).unwrap();
        assert_eq!((read.files, read.policies.is_empty()), (2, false));

        fs::write(
            path.join("a.cedar"),
            "// one\nforbid (principal, action == Action::\"sudo\", resource);\n",
        )
        .unwrap();
        let told = PolicyFiles::read(&path).unwrap_err().to_string();
        assert!(told.contains("a.cedar:2: ") && told.contains("hint: "), "{told}");
    }
}
