//! Registering, refreshing, deregistering: through the queue to the task that writes, answered when it is committed.
//!
//! Who has the registry in process may do everything. The HTTP API acts on behalf of a token, and the writer decides what
//! that one may, in order with all else that it does.

use super::{Error, Registry};
use crate::model::{Actor, LeaseRef, Refreshed, RefreshedMany, Registered, Registration, ValidRegistration};
use crate::store::{
    Command, Deregistration, Ending, PreparedRegistration, RefreshOutcome, Refreshes, Registering,
};

impl Registry {
    /// Registers a server, or replaces the registration under its id, whole, and renews its lease. Registering the same
    /// again renews the lease and changes nothing else.
    ///
    /// # Errors
    /// [`Error::InvalidRegistration`] with every violation; [`Error::StorageFull`] and the like.
    pub async fn register(&self, registration: Registration) -> Result<Registered, Error> {
        let valid = registration.validate().map_err(|invalid| Error::InvalidRegistration(invalid.0))?;
        self.register_valid(valid).await
    }

    /// As [`register`](Self::register), with a registration that was checked before.
    ///
    /// # Errors
    /// [`Error::StorageFull`] and the like.
    pub async fn register_valid(&self, registration: ValidRegistration) -> Result<Registered, Error> {
        self.put(registration, false, Actor::Process).await
    }

    /// As [`register_valid`](Self::register_valid), but never replaces.
    ///
    /// # Errors
    /// [`Error::AlreadyRegistered`] when the id is taken; [`Error::StorageFull`] and the like.
    pub async fn register_new(&self, registration: ValidRegistration) -> Result<Registered, Error> {
        self.put(registration, true, Actor::Process).await
    }

    /// Registers on somebody's behalf.
    pub(crate) async fn put(
        &self,
        registration: ValidRegistration,
        only_new: bool,
        actor: Actor,
    ) -> Result<Registered, Error> {
        let put = PreparedRegistration::new(registration, only_new, actor, self.inner.live.search())?;
        let id = put.id().to_owned();
        let registered = match self.ask(put, |job| Command::Register(Box::new(job))).await? {
            Registering::Done(registered) => registered,
            Registering::Taken => return Err(Error::AlreadyRegistered(id)),
            Registering::Forbidden => return Err(Error::Forbidden(id)),
        };
        let (id, name) = (&registered.server.id, &registered.server.name);
        tracing::info!(id, name, replaced = !registered.created, "registered");
        Ok(registered)
    }

    /// Refreshes a lease: that of whatever holds the id, or, given a [`Registered`], only that one. A refresh that
    /// comes late, but before the pruner, revives the registration.
    ///
    /// # Errors
    /// [`Error::NotRegistered`]: register again. [`Error::LeaseReplaced`]: another process has registered the id.
    pub async fn refresh(&self, lease: impl Into<LeaseRef>) -> Result<Refreshed, Error> {
        self.refresh_for(lease.into(), Actor::Process).await
    }

    /// Refreshes on somebody's behalf.
    pub(crate) async fn refresh_for(&self, lease: LeaseRef, actor: Actor) -> Result<Refreshed, Error> {
        let id = lease.id.clone();
        let asked = Refreshes { leases: vec![lease], actor };
        match self.ask(asked, Command::Refresh).await?.into_iter().next() {
            Some(RefreshOutcome::Refreshed(refreshed)) => Ok(refreshed),
            Some(RefreshOutcome::Replaced) => Err(Error::LeaseReplaced(id)),
            Some(RefreshOutcome::Forbidden) => Err(Error::Forbidden(id)),
            Some(RefreshOutcome::NotRegistered) | None => Err(Error::NotRegistered(id)),
        }
    }

    /// Refreshes many leases at once, whoever holds the ids.
    ///
    /// # Errors
    /// [`Error::StorageFull`] and the like; an id that is not registered is no error, but listed in the answer.
    pub async fn refresh_many<I>(&self, ids: I) -> Result<RefreshedMany, Error>
    where
        I: IntoIterator<Item: Into<String>>,
    {
        let ids = ids.into_iter().map(Into::into).collect();
        Ok(self.refresh_many_for(ids, Actor::Process).await?.0)
    }

    /// Refreshes many on somebody's behalf. Also gives the places of the ids that are not registered and of those that belong
    /// to another token; all others are refreshed in any case.
    pub(crate) async fn refresh_many_for(
        &self,
        ids: Vec<String>,
        actor: Actor,
    ) -> Result<(RefreshedMany, Vec<usize>, Vec<usize>), Error> {
        let leases = ids.iter().map(|id| LeaseRef::new(id.as_str(), None)).collect();
        let outcomes = self.ask(Refreshes { leases, actor }, Command::Refresh).await?;
        let mut answer = RefreshedMany::default();
        let (mut unknown, mut forbidden) = (Vec::new(), Vec::new());
        for (place, (id, outcome)) in ids.into_iter().zip(outcomes).enumerate() {
            match outcome {
                RefreshOutcome::Refreshed(refreshed) => answer.refreshed.push(refreshed),
                RefreshOutcome::NotRegistered | RefreshOutcome::Replaced => {
                    answer.not_registered.push(id);
                    unknown.push(place);
                }
                RefreshOutcome::Forbidden => forbidden.push(place),
            }
        }
        Ok((answer, unknown, forbidden))
    }

    /// Takes a server out: whatever holds the id, or, given a [`Registered`], only that registering of it.
    ///
    /// # Errors
    /// [`Error::NotRegistered`]; [`Error::LeaseReplaced`]: another process has registered the id.
    pub async fn deregister(&self, lease: impl Into<LeaseRef>) -> Result<(), Error> {
        self.deregister_for(lease.into(), Actor::Process).await
    }

    /// Takes a server out on somebody's behalf.
    pub(crate) async fn deregister_for(&self, lease: LeaseRef, actor: Actor) -> Result<(), Error> {
        let id = lease.id.clone();
        match self.ask(Ending { lease, actor }, Command::Deregister).await? {
            Deregistration::Done { name } => {
                tracing::info!(id, name, "deregistered");
                Ok(())
            }
            Deregistration::NotRegistered => Err(Error::NotRegistered(id)),
            Deregistration::Replaced => Err(Error::LeaseReplaced(id)),
            Deregistration::Forbidden => Err(Error::Forbidden(id)),
        }
    }
}
