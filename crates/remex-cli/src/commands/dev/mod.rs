//! `remex dev`: a whole cluster on this machine.
//!
//! The nodes are processes of this same binary, so that what is tried out is what will run. Four
//! things can be done with a cluster once its names and ports are worked out ([`layout`]) and are
//! known not to overlap ([`ports`]), and all four start a node by the same command ([`launch`]):
//!
//! - run it as children of this process until Ctrl-C, and leave nothing behind ([`supervise`]);
//! - run it in a tmux session, one pane a node ([`tmux`]);
//! - only print the commands, for terminals of one's own;
//! - lay out its files, for a start by hand or a move to other machines ([`write`]).
//!
//! Where data is kept, the [`directory`] is the same for all of them: a folder for each node,
//! and the cluster file that says which nodes there are. So what one of them began, another can
//! go on with. Nothing is written or started before everything that can be checked has been.
//!
//! All of it is on the loopback interface. Nodes on several machines are started by `remex serve`.

mod directory;
mod launch;
mod layout;
mod options;
mod ports;
mod supervise;
mod tmux;
mod write;

pub(crate) use options::Dev;
