//! Registering, refreshing and deregistering. Each call returns once its transaction is committed.
//!
//! In-process callers are allowed everything. The HTTP API acts on behalf of a token, and the writer authorizes each command
//! in order with all others.

use super::{Error, Registry};
use crate::model::{Actor, LeaseRef, Refreshed, RefreshedMany, Registered, Registration, ValidRegistration};
use crate::store::{
    DeregisterOutcome, DeregisterRequest, PreparedRegistration, RefreshOutcome, RefreshRequest,
    RegisterOutcome, WriteCommand,
};

impl Registry {
    /// Registers a server, or replaces the whole registration under its id, and renews its lease. Registering the same
    /// again renews the lease and changes nothing else.
    ///
    /// # Errors
    /// [`Error::InvalidRegistration`] with every violation if the registration is not valid, or an error of the write:
    /// [`Error::StorageFull`], [`Error::Overloaded`], [`Error::Standby`], [`Error::Closed`], [`Error::Storage`].
    pub async fn register(&self, registration: Registration) -> Result<Registered, Error> {
        let valid = registration.validate().map_err(|invalid| Error::InvalidRegistration(invalid.0))?;
        self.register_valid(valid).await
    }

    /// Like [`register`](Self::register), with a validated registration.
    ///
    /// # Errors
    /// See [`register`](Self::register).
    pub async fn register_valid(&self, registration: ValidRegistration) -> Result<Registered, Error> {
        self.register_for(registration, false, Actor::InProcess).await
    }

    /// Like [`register_valid`](Self::register_valid), but never replaces a registration.
    ///
    /// # Errors
    /// [`Error::AlreadyRegistered`] if the id is taken; otherwise see [`register`](Self::register).
    pub async fn register_new(&self, registration: ValidRegistration) -> Result<Registered, Error> {
        self.register_for(registration, true, Actor::InProcess).await
    }

    /// Registers a server on behalf of an actor.
    pub(crate) async fn register_for(
        &self,
        registration: ValidRegistration,
        new_only: bool,
        actor: Actor,
    ) -> Result<Registered, Error> {
        let prepared = PreparedRegistration::new(registration, new_only, actor, self.inner.state.search())?;
        let id = prepared.id().to_owned();
        let registered = match self.execute(prepared, |job| WriteCommand::Register(Box::new(job))).await? {
            RegisterOutcome::Done(registered) => registered,
            RegisterOutcome::Taken => return Err(Error::AlreadyRegistered(id)),
            RegisterOutcome::Forbidden => return Err(Error::Forbidden(id)),
        };
        let (id, name) = (&registered.server.id, &registered.server.name);
        tracing::info!(id, name, replaced = !registered.created, "registered");
        Ok(registered)
    }

    /// Refreshes a lease: the current one of an id, or, given a [`Registered`], only that lease. A late refresh revives a
    /// server that has not been pruned yet.
    ///
    /// # Errors
    /// [`Error::NotRegistered`] if the id is not registered, [`Error::LeaseReplaced`] if another process has registered the
    /// id, or an error of the write: [`Error::StorageFull`], [`Error::Overloaded`], [`Error::Standby`], [`Error::Closed`],
    /// [`Error::Storage`].
    pub async fn refresh(&self, lease: impl Into<LeaseRef>) -> Result<Refreshed, Error> {
        self.refresh_for(lease.into(), Actor::InProcess).await
    }

    /// Refreshes a lease on behalf of an actor.
    pub(crate) async fn refresh_for(&self, lease: LeaseRef, actor: Actor) -> Result<Refreshed, Error> {
        let id = lease.id.clone();
        let request = RefreshRequest { leases: vec![lease], actor };
        match self.execute(request, WriteCommand::Refresh).await?.into_iter().next() {
            Some(RefreshOutcome::Refreshed(refreshed)) => Ok(refreshed),
            Some(RefreshOutcome::Replaced) => Err(Error::LeaseReplaced(id)),
            Some(RefreshOutcome::Forbidden) => Err(Error::Forbidden(id)),
            Some(RefreshOutcome::NotRegistered) | None => Err(Error::NotRegistered(id)),
        }
    }

    /// Refreshes the current leases of many ids at once. Ids that are not registered are listed in the result.
    ///
    /// # Errors
    /// If the write fails: [`Error::StorageFull`], [`Error::Overloaded`], [`Error::Standby`], [`Error::Closed`],
    /// [`Error::Storage`].
    pub async fn refresh_many<I>(&self, ids: I) -> Result<RefreshedMany, Error>
    where
        I: IntoIterator<Item: Into<String>>,
    {
        let ids = ids.into_iter().map(Into::into).collect();
        Ok(self.refresh_many_for(ids, Actor::InProcess).await?.0)
    }

    /// Refreshes many leases on behalf of an actor. Also returns the indices of ids that are not registered and of those
    /// that belong to another token; all others are refreshed.
    pub(crate) async fn refresh_many_for(
        &self,
        ids: Vec<String>,
        actor: Actor,
    ) -> Result<(RefreshedMany, Vec<usize>, Vec<usize>), Error> {
        let leases = ids.iter().map(|id| LeaseRef::new(id.as_str(), None)).collect();
        let outcomes = self.execute(RefreshRequest { leases, actor }, WriteCommand::Refresh).await?;
        let mut result = RefreshedMany::default();
        let (mut not_registered, mut forbidden) = (Vec::new(), Vec::new());
        for (index, (id, outcome)) in ids.into_iter().zip(outcomes).enumerate() {
            match outcome {
                RefreshOutcome::Refreshed(refreshed) => result.refreshed.push(refreshed),
                RefreshOutcome::NotRegistered | RefreshOutcome::Replaced => {
                    result.not_registered.push(id);
                    not_registered.push(index);
                }
                RefreshOutcome::Forbidden => forbidden.push(index),
            }
        }
        Ok((result, not_registered, forbidden))
    }

    /// Deregisters a server: the current one of an id, or, given a [`Registered`], only with that lease.
    ///
    /// # Errors
    /// [`Error::NotRegistered`] if the id is not registered, [`Error::LeaseReplaced`] if another process has registered the
    /// id, or an error of the write: [`Error::StorageFull`], [`Error::Overloaded`], [`Error::Standby`], [`Error::Closed`],
    /// [`Error::Storage`].
    pub async fn deregister(&self, lease: impl Into<LeaseRef>) -> Result<(), Error> {
        self.deregister_for(lease.into(), Actor::InProcess).await
    }

    /// Deregisters a server on behalf of an actor.
    pub(crate) async fn deregister_for(&self, lease: LeaseRef, actor: Actor) -> Result<(), Error> {
        let id = lease.id.clone();
        match self.execute(DeregisterRequest { lease, actor }, WriteCommand::Deregister).await? {
            DeregisterOutcome::Done { name } => {
                tracing::info!(id, name, "deregistered");
                Ok(())
            }
            DeregisterOutcome::NotRegistered => Err(Error::NotRegistered(id)),
            DeregisterOutcome::Replaced => Err(Error::LeaseReplaced(id)),
            DeregisterOutcome::Forbidden => Err(Error::Forbidden(id)),
        }
    }
}
