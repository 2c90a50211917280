//! Who lives where.
//!
//! A *place* is a machine: its disk, its links and its clock, named by a position that it has for
//! the whole run. A *self* is what consensus knows: a node id. A place has at most one self at a
//! time, and a self has one place for ever: a machine whose disk is lost comes back as another self.
//! Ids are dealt in order from 1 on, so that what is kept for each self fits a [`ByNode`].

use std::ops::{Index, IndexMut};

use remex_model::{Incarnation, Member, NodeId};

/// The self of every place, and the place of every self.
#[derive(Debug)]
pub(crate) struct Selves {
    current: Vec<Option<NodeId>>,
    /// The places at which somebody lives.
    inhabited: Vec<usize>,
    places: ByNode<usize>,
}

impl Selves {
    /// So many places; the first `founders` of them have a self.
    pub(crate) fn new(founders: usize, places: usize) -> Self {
        let mut current: Vec<_> = (1..).map(NodeId).map(Some).take(founders).collect();
        current.resize(places, None);
        let inhabited = (0..founders).collect();
        Self { current, inhabited, places: ByNode((0..founders).collect()) }
    }

    /// Who lives at a place now.
    pub(crate) fn at(&self, place: usize) -> Option<NodeId> {
        self.current[place]
    }

    /// The places at which somebody lives.
    pub(crate) fn inhabited(&self) -> &[usize] {
        &self.inhabited
    }

    /// Where a self lives, or lived.
    pub(crate) fn place(&self, id: NodeId) -> usize {
        self.places[id]
    }

    /// Somebody new lives at a place from now on.
    pub(crate) fn settle(&mut self, place: usize) -> NodeId {
        self.places.push(place);
        let id = NodeId(self.places.len() as u64);
        self.set(place, Some(id));
        id
    }

    /// Nobody lives at a place any more.
    pub(crate) fn leave(&mut self, place: usize) {
        self.set(place, None);
    }

    fn set(&mut self, place: usize, current: Option<NodeId>) {
        self.current[place] = current;
        self.inhabited = (0..self.current.len()).filter(|&at| self.current[at].is_some()).collect();
    }

    /// A self as the cluster is told of it: the name is that of its place, which is how a new self
    /// takes the place of an old one.
    pub(crate) fn member(&self, id: NodeId, promote: bool) -> Member {
        let place = self.place(id);
        Member {
            id,
            incarnation: Incarnation(id.get()),
            name: format!("n{place}"),
            peer_address: format!("n{place}:1"),
            client_url: String::new(),
            promote,
        }
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

    /// For the next self.
    pub(crate) fn push(&mut self, one: T) {
        self.0.push(one);
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
