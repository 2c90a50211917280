//! Why a node does not start, and why it stops.

use std::net::SocketAddr;
use std::path::PathBuf;

use thiserror::Error;

/// Why a node could not be opened. Every message is one line that ends in a remedy.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The settings contradict each other.
    #[error("{0}")]
    Config(String),
    /// The data directory cannot be used.
    #[error("cannot use the data directory {}: {source}; check its owner and permissions, or choose another with --data-dir", path.display())]
    DataDir {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Another living process uses the data directory.
    #[error("the data directory {} is in use by another process ({holder}); stop it first, or choose another with --data-dir", path.display())]
    Locked {
        /// The directory.
        path: PathBuf,
        /// Who holds it, as far as it said.
        holder: String,
    },
    /// The data directory is not what the settings say.
    #[error("{0}")]
    Identity(String),
    /// The peer port cannot be listened on.
    #[error("cannot listen for peers on {address}: {source}; choose another with --peer-listen")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The data cannot be recovered.
    #[error("{0}")]
    Recovery(String),
    /// The disk has no room for what is needed to open the data.
    #[error("{0}")]
    Full(String),
    /// The node was removed from its cluster.
    #[error("{0}")]
    Removed(String),
}

/// Why a running node cannot go on. The process must end; what was acknowledged is on disk.
#[derive(Clone, Debug, Error)]
pub enum Fatal {
    /// A disk that fails, data that is damaged and cannot be had from elsewhere, a defect.
    #[error("{0}")]
    Failed(String),
    /// The node was removed from its cluster.
    #[error("{0}")]
    Removed(String),
}
