//! Looks at participants.yaml, and at the files that its secrets are in, and puts what changed into effect.

use crate::source_files::{lookup, read_source};
use saga_core::definition::SourceFile;
use saga_engine::reload::ReloadHandle;
use std::{path::PathBuf, time::Duration};
use tokio::task::JoinHandle;

/// Between two looks: a change holds within twice of it, and a look reads one small file.
const EVERY: Duration = Duration::from_secs(1);

/// What stands for a file whose change cannot be seen in the text.
const IN_A_FILE: &str = "file.";

/// The task that looks, for engines that have a file.
pub(super) fn start(handle: ReloadHandle) -> Option<JoinHandle<()>> {
    let path = handle.path()?.to_owned();
    Some(tokio::spawn(look(handle, path)))
}

async fn look(handle: ReloadHandle, path: PathBuf) {
    let mut in_effect = read_source(&path).ok();
    let mut seen: Option<SourceFile> = None;
    loop {
        tokio::time::sleep(EVERY).await;
        let file = match read_source(&path) {
            Ok(file) => file,
            Err(error) => {
                if seen.take().is_some() || in_effect.is_some() {
                    handle.report_unreadable(&format!("{error:#}"));
                }
                in_effect = None;
                continue;
            }
        };
        let is_new = in_effect.as_ref() != Some(&file);
        // Half a file is what an editor that writes in pieces leaves for a moment: twice the same is a file.
        let is_whole = seen.as_ref() == Some(&file);
        if (is_new && is_whole) || (!is_new && file.text.contains(IN_A_FILE)) {
            // Refused or not, it is not read again until it changes.
            let _ = handle.reload(&file, &lookup).await;
            in_effect = Some(file.clone());
        }
        seen = Some(file);
    }
}
