//! Who lives where.
//!
//! A *place* is a machine: its disk, its links and its clock, named by a position that it has for
//! the whole run. A *self* is what consensus knows: a node id. A place has one self at a time, and
//! a self has one place for ever: a machine whose disk is lost comes back as another self. Ids are
//! dealt in order from 1 on, so that what is kept for each self fits a [`ByNode`].

use std::ops::{Index, IndexMut};

use remex_model::NodeId;

/// The self of every place, and the place of every self.
#[derive(Debug)]
pub(crate) struct Selves {
    current: Vec<NodeId>,
    places: ByNode<usize>,
}

impl Selves {
    /// As many places, each with its first self.
    pub(crate) fn new(places: usize) -> Self {
        let current = (1..).map(NodeId).take(places).collect();
        Self { current, places: ByNode((0..places).collect()) }
    }

    /// Who lives at a place now.
    pub(crate) fn at(&self, place: usize) -> NodeId {
        self.current[place]
    }

    /// Who lives at any place now.
    pub(crate) fn all(&self) -> impl Iterator<Item = NodeId> {
        self.current.iter().copied()
    }

    /// Where a self lives, or lived.
    pub(crate) fn place(&self, id: NodeId) -> usize {
        self.places[id]
    }
}

/// Something for each self that there ever was.
#[derive(Debug)]
pub(crate) struct ByNode<T>(Vec<T>);

impl<T> ByNode<T> {
    /// For the first `count` selves.
    pub(crate) fn new(count: usize, make: impl FnMut() -> T) -> Self {
        Self(std::iter::repeat_with(make).take(count).collect())
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn iter(&self) -> std::slice::Iter<'_, T> {
        self.0.iter()
    }
}

fn slot(id: NodeId) -> usize {
    usize::try_from(id.get() - 1).expect("ids are dealt in order from 1 on")
}

impl<T> Index<NodeId> for ByNode<T> {
    type Output = T;

    fn index(&self, id: NodeId) -> &T {
        &self.0[slot(id)]
    }
}

impl<T> IndexMut<NodeId> for ByNode<T> {
    fn index_mut(&mut self, id: NodeId) -> &mut T {
        &mut self.0[slot(id)]
    }
}
