use super::*;
use crate::directory::Directory;
use crate::identity::{Identity, Phase};

/// A data directory, and folders beside it.
struct Scene {
    root: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        Self { root: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().canonicalize().unwrap().join(name)
    }

    fn log_in(&self, name: &str) -> Homes {
        [Some(self.path(name)), None, None]
    }

    fn open(&self, wanted: &Homes) -> Result<Directory, String> {
        Directory::open_with(&self.path("data"), wanted).map_err(|error| error.to_string())
    }

    /// A node that has a log in this folder.
    fn lived(&self, home: &str) -> PathBuf {
        let directory = self.open(&self.log_in(home)).unwrap();
        fs::create_dir_all(directory.log()).unwrap();
        fs::write(directory.log().join("1.log"), "promises").unwrap();
        write_identity(&directory);
        directory.log()
    }
}

fn write_identity(directory: &Directory) {
    let identity = Identity {
        id: remex_model::NodeId(1),
        incarnation: remex_model::Incarnation(2),
        name: "n1".to_owned(),
        has_log: true,
        phase: Phase::Fresh,
    };
    directory.write_identity(&identity).unwrap();
}

const NOTHING: Homes = [None, None, None];

fn move_all(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    fs::copy(from.join(OWNER), to.join(OWNER)).unwrap();
    fs::rename(from.join("log"), to.join("log")).unwrap();
}

#[test]
fn a_start_without_the_flag_finds_what_one_with_it_made() {
    let scene = Scene::new();
    let log = scene.lived("fast");
    assert_eq!(log, scene.path("fast/log"));
    let directory = scene.open(&NOTHING).unwrap();
    assert_eq!(directory.log(), log);
    assert_eq!(directory.engine(), scene.path("data/engine"));
    assert_eq!(directory.snapshots(), scene.path("data/snapshots"));
    drop(directory);
    assert_eq!(scene.open(&scene.log_in("fast")).unwrap().log(), log);
    // By another name of the same folder.
    std::os::unix::fs::symlink(scene.path("fast"), scene.path("link")).unwrap();
    assert_eq!(scene.open(&scene.log_in("link")).unwrap().log(), log);
}

/// A folder that is wanted only after the first start is made by then, behind a link or not.
#[test]
fn a_new_folder_behind_a_link_has_the_same_name_at_the_next_start() {
    let scene = Scene::new();
    drop(scene.open(&NOTHING).unwrap());
    fs::create_dir(scene.path("disk")).unwrap();
    std::os::unix::fs::symlink(scene.path("disk"), scene.path("link")).unwrap();
    let log = scene.lived("link/new/folder");
    assert_eq!(log, scene.path("disk/new/folder/log"));
    assert_eq!(scene.open(&scene.log_in("link/new/folder")).unwrap().log(), log);
    // Nor does a link lead into the folder of another part.
    std::os::unix::fs::symlink(scene.path("other/engine"), scene.path("inside")).unwrap();
    let other = || Directory::open(&scene.path("other")).unwrap();
    fs::create_dir(other().engine()).unwrap();
    let error = Directory::open_with(&scene.path("other"), &scene.log_in("inside/log"));
    assert!(error.unwrap_err().to_string().contains("one lies in the other"));
}

#[test]
fn another_folder_is_refused_until_the_part_is_moved_there() {
    let scene = Scene::new();
    scene.lived("old");
    let (old, new) = (scene.path("old"), scene.path("new"));
    let error = scene.open(&scene.log_in("new")).unwrap_err();
    for want in [old.to_str().unwrap(), new.to_str().unwrap(), "--log-dir", "cp -a "] {
        assert!(error.contains(want), "{error}");
    }
    assert!(!new.exists(), "a refused start leaves nothing behind");
    // Half of it is not enough: the mark alone, or the part alone.
    fs::create_dir(&new).unwrap();
    fs::copy(old.join(OWNER), new.join(OWNER)).unwrap();
    scene.open(&scene.log_in("new")).unwrap_err();
    fs::remove_dir_all(&new).unwrap();
    fs::create_dir(&new).unwrap();
    fs::rename(old.join("log"), new.join("log")).unwrap();
    scene.open(&scene.log_in("new")).unwrap_err();
    fs::copy(old.join(OWNER), new.join(OWNER)).unwrap();
    assert_eq!(scene.open(&scene.log_in("new")).unwrap().log(), new.join("log"));
    assert_eq!(scene.open(&NOTHING).unwrap().log(), new.join("log"), "it is remembered");
    // And back into the data directory.
    move_all(&new, &scene.path("data"));
    let error = scene.open(&NOTHING).unwrap_err();
    assert!(error.contains("--log-dir") && error.contains("which is empty"), "{error}");
    assert_eq!(scene.open(&scene.log_in("data")).unwrap().log(), scene.path("data/log"));
    assert_eq!(scene.open(&NOTHING).unwrap().log(), scene.path("data/log"));
}

#[test]
fn a_log_of_the_data_directory_does_not_seem_lost_when_a_flag_is_added() {
    let scene = Scene::new();
    scene.lived("data");
    let error = scene.open(&scene.log_in("fast")).unwrap_err();
    assert!(error.contains("Leave --log-dir out"), "{error}");
    move_all(&scene.path("data"), &scene.path("fast"));
    assert_eq!(scene.open(&scene.log_in("fast")).unwrap().log(), scene.path("fast/log"));
}

#[test]
fn a_folder_that_is_not_mounted_is_refused_and_not_made_anew() {
    let scene = Scene::new();
    let log = scene.lived("fast");
    fs::rename(scene.path("fast"), scene.path("away")).unwrap();
    for wanted in [NOTHING, scene.log_in("fast")] {
        let error = scene.open(&wanted).unwrap_err();
        assert!(error.contains("mounted") && error.contains("owner"), "{error}");
        assert!(!scene.path("fast").exists());
    }
    // The empty mount point below.
    fs::create_dir(scene.path("fast")).unwrap();
    scene.open(&NOTHING).unwrap_err();
    assert_eq!(fs::read_dir(scene.path("fast")).unwrap().count(), 0);
    // An empty folder is right once somebody says so.
    fs::copy(scene.path("data/owner"), scene.path("fast/owner")).unwrap();
    assert!(!holds_anything(&scene.open(&NOTHING).unwrap().log()));
    fs::remove_dir_all(scene.path("fast")).unwrap();
    fs::rename(scene.path("away"), scene.path("fast")).unwrap();
    assert_eq!(scene.open(&NOTHING).unwrap().log(), log);
}

#[test]
fn a_folder_belongs_to_one_node_and_a_new_one_is_empty() {
    let scene = Scene::new();
    scene.lived("fast");
    let other = Directory::open_with(&scene.path("other"), &scene.log_in("fast"));
    let error = other.unwrap_err().to_string();
    assert!(error.contains("belongs to another node"), "{error}");
    assert!(error.contains(scene.path("data").to_str().unwrap()), "{error}");
    // The flag can be put right.
    Directory::open(&scene.path("other")).unwrap();

    fs::create_dir(scene.path("full")).unwrap();
    fs::write(scene.path("full/letter"), "dear").unwrap();
    let foreign = Directory::open_with(&scene.path("third"), &scene.log_in("full"));
    assert!(foreign.unwrap_err().to_string().contains("holds letter"));
    fs::remove_file(scene.path("full/letter")).unwrap();
    fs::create_dir(scene.path("full/lost+found")).unwrap();
    Directory::open_with(&scene.path("third"), &scene.log_in("full")).unwrap();

    // Another data directory is no folder for a log either, nor the other way round.
    let nested = Directory::open_with(&scene.path("fourth"), &scene.log_in("other"));
    assert!(nested.unwrap_err().to_string().contains("belongs to another node"));
    Directory::open(&scene.path("fast")).unwrap_err();
}

#[test]
fn a_copy_of_the_data_directory_does_not_get_at_the_same_log() {
    let scene = Scene::new();
    scene.lived("fast");
    let first = scene.open(&NOTHING).unwrap();
    fs::create_dir(scene.path("copy")).unwrap();
    for name in ["identity", "places", "owner"] {
        fs::copy(scene.path("data").join(name), scene.path("copy").join(name)).unwrap();
    }
    let error = Directory::open(&scene.path("copy")).unwrap_err().to_string();
    assert!(error.contains("in use by another process"), "{error}");
    first.unlock();
    Directory::open(&scene.path("copy")).unwrap();
}

#[test]
fn all_parts_may_share_a_folder() {
    let scene = Scene::new();
    let home = Some(scene.path("disk"));
    let directory = scene.open(&[home.clone(), home.clone(), home]).unwrap();
    assert_eq!(directory.log(), scene.path("disk/log"));
    assert_eq!(directory.engine(), scene.path("disk/engine"));
    assert_eq!(directory.snapshots(), scene.path("disk/snapshots"));
    directory.unlock();
    scene.open(&NOTHING).unwrap();
}

#[test]
fn folders_that_would_be_removed_with_another_are_refused() {
    let scene = Scene::new();
    let inside = scene.open(&scene.log_in("data/fast")).unwrap_err();
    assert!(inside.contains("one lies in the other"), "{inside}");
    let wanted = [Some(scene.path("disk/engine")), Some(scene.path("disk")), None];
    let error = scene.open(&wanted).unwrap_err();
    assert!(error.contains("one lies in the other"), "{error}");
    scene.open(&[Some(scene.path("a")), Some(scene.path("b")), None]).unwrap();
}

#[test]
fn a_first_start_that_was_cut_short_is_done_again() {
    let scene = Scene::new();
    let data_dir = scene.path("data");
    // The record was written, and one mark of two.
    fs::create_dir_all(&data_dir).unwrap();
    fs::create_dir_all(scene.path("fast")).unwrap();
    let homes = [Some(scene.path("fast")), Some(scene.path("big")), None];
    let record = Record { mark: 7, is_complete: false, homes: homes.clone() };
    record.write(&data_dir).unwrap();
    record.write_owner(&data_dir, &scene.path("fast")).unwrap();
    // Other flags are as good: nothing has been promised.
    scene.open(&scene.log_in("fast")).unwrap();
    let record = Record::read(&data_dir).unwrap().unwrap();
    assert!(record.is_complete);
    assert_eq!((record.mark, record.homes), (7, scene.log_in("fast")));
    // Until there is a log, flags may still change.
    let directory = scene.open(&homes).unwrap();
    assert_eq!(directory.engine(), scene.path("big/engine"));
}

#[test]
fn a_directory_of_an_earlier_release_holds_everything_itself() {
    let scene = Scene::new();
    let log = scene.lived("data");
    for name in ["places", "owner"] {
        fs::remove_file(scene.path("data").join(name)).unwrap();
    }
    scene.open(&scene.log_in("fast")).unwrap_err();
    assert_eq!(scene.open(&NOTHING).unwrap().log(), log);
    // But a record that was there once is missed.
    fs::remove_file(scene.path("data/places")).unwrap();
    let error = scene.open(&NOTHING).unwrap_err();
    assert!(error.contains("is gone"), "{error}");
}

#[test]
fn what_is_put_aside_stays_on_its_disk() {
    let scene = Scene::new();
    scene.lived("fast");
    let directory = scene.open(&NOTHING).unwrap();
    fs::create_dir_all(directory.engine()).unwrap();
    fs::write(directory.engine().join("current"), "table").unwrap();
    directory.put_aside().unwrap();
    assert!(scene.path("fast/set-aside/log/1.log").exists());
    assert!(scene.path("data/set-aside/engine/current").exists());
    assert!(!directory.log().exists() && !directory.engine().exists());
    // What comes later does not take its place.
    fs::create_dir_all(directory.log()).unwrap();
    fs::write(directory.log().join("2.log"), "later").unwrap();
    directory.put_aside_once().unwrap();
    assert!(scene.path("fast/set-aside/log/1.log").exists() && !directory.log().exists());
}
