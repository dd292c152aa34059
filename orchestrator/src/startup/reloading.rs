//! Watches participants.yaml and the files with its secrets, and puts changes into effect.

use crate::source_files::{lookup, read_source};
use saga_core::definition::SourceFile;
use saga_engine::reload::ReloadHandle;
use std::{path::PathBuf, time::Duration};
use tokio::task::JoinHandle;

/// Time between two reads: a change is in effect within twice this time, and a read is one small file.
const EVERY: Duration = Duration::from_secs(1);

/// Names a file whose change does not show in the text of participants.yaml.
const IN_A_FILE: &str = "file.";

/// Starts the task, if the engine has a file.
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
                    handle.report_unreadable(&format!("{error:#}")).await;
                }
                in_effect = None;
                continue;
            }
        };
        let is_new = in_effect.as_ref() != Some(&file);
        // An editor that writes in pieces leaves half a file for a moment: the same text twice is a whole file.
        let is_whole = seen.as_ref() == Some(&file);
        if (is_new && is_whole) || (!is_new && file.text.contains(IN_A_FILE)) {
            // Also a refused file is not loaded again until it changes.
            let _ = handle.reload(&file, &lookup).await;
            in_effect = Some(file.clone());
        }
        seen = Some(file);
    }
}
