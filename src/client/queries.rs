//! Asking what is registered.

use http::Method;
use serde::de::DeserializeOwned;

use super::transport::Call;
use super::{Client, ClientError, random};
use crate::model::{Cursor, Filter, LeaseState, PAGE_LIMITS, Page, Server, Stats, ToolEntry, ToolPage};

impl Client {
    /// One server with all that it registered; none if the id is not registered.
    ///
    /// # Errors
    /// Whatever keeps the registry from answering.
    pub async fn get(&self, id: &str) -> Result<Option<Server>, ClientError> {
        self.perhaps(&["v1", "servers", id], id).await
    }

    /// Whether a server is alive, and what is left of its lease; none if the id is not registered.
    ///
    /// # Errors
    /// Whatever keeps the registry from answering.
    pub async fn health(&self, id: &str) -> Result<Option<LeaseState>, ClientError> {
        self.perhaps(&["v1", "servers", id, "health"], id).await
    }

    async fn perhaps<T: DeserializeOwned>(&self, path: &[&str], id: &str) -> Result<Option<T>, ClientError> {
        let answer = match self.ask(&Call::new(Method::GET, path.iter().copied())).await {
            Ok(answer) => answer.json(id),
            Err(error) => Err(error),
        };
        match answer {
            Err(ClientError::NotRegistered { .. }) => Ok(None),
            answer => answer.map(Some),
        }
    }

    /// The servers that match a filter, a page of them.
    ///
    /// # Errors
    /// [`ClientError::InvalidFilter`], and whatever keeps the registry from answering.
    pub async fn find(&self, filter: Filter) -> Result<Page, ClientError> {
        self.list("servers", &filter).await
    }

    /// All servers that match a filter, page by page.
    ///
    /// # Errors
    /// As [`find`](Self::find).
    pub async fn find_all(&self, filter: Filter) -> Result<Vec<Server>, ClientError> {
        self.all::<Page>("servers", filter).await
    }

    /// The tools that match a filter, each once, with the servers that offer it: a page of them.
    ///
    /// # Errors
    /// As [`find`](Self::find).
    pub async fn tools(&self, filter: Filter) -> Result<ToolPage, ClientError> {
        self.list("tools", &filter).await
    }

    /// All tools that match a filter, page by page.
    ///
    /// # Errors
    /// As [`find`](Self::find).
    pub async fn all_tools(&self, filter: Filter) -> Result<Vec<ToolEntry>, ClientError> {
        self.all::<ToolPage>("tools", filter).await
    }

    async fn all<P: Part>(&self, what: &str, filter: Filter) -> Result<Vec<P::Item>, ClientError> {
        let (mut all, mut next) = (Vec::new(), filter);
        loop {
            let (items, cursor) = self.list::<P>(what, &next).await?.split();
            all.extend(items);
            match cursor {
                Some(cursor) => next = next.after(&cursor),
                None => return Ok(all),
            }
        }
    }

    async fn list<T: DeserializeOwned>(&self, what: &str, filter: &Filter) -> Result<T, ClientError> {
        filter.check()?;
        let mut call = Call::new(Method::GET, ["v1", what]);
        call.query = match &filter.after {
            Some(position) => vec![("cursor".to_owned(), Cursor::new(filter, position.clone()).to_string())],
            None => filter.pairs(),
        };
        self.ask(&call).await?.json("")
    }

    /// Totals of what is registered.
    ///
    /// # Errors
    /// Whatever keeps the registry from answering.
    pub async fn stats(&self) -> Result<Stats, ClientError> {
        self.ask(&Call::new(Method::GET, ["v1", "stats"])).await?.json("")
    }

    /// A healthy server of this name: any one of them, by chance, so that many clients spread over all.
    ///
    /// # Errors
    /// [`ClientError::NoHealthyServers`].
    pub async fn pick(&self, name: &str) -> Result<Server, ClientError> {
        let found = self.find_all(Filter::new().name(name).limit(*PAGE_LIMITS.end())).await?;
        let count = u32::try_from(found.len()).unwrap_or(u32::MAX).max(1);
        let chosen = usize::try_from(random() % count).unwrap_or_default();
        found.into_iter().nth(chosen).ok_or_else(|| ClientError::NoHealthyServers { name: name.to_owned() })
    }
}

/// A part of an answer, and where the next one begins.
trait Part: DeserializeOwned {
    type Item;
    fn split(self) -> (Vec<Self::Item>, Option<Cursor>);
}

impl Part for Page {
    type Item = Server;
    fn split(self) -> (Vec<Server>, Option<Cursor>) {
        (self.servers, self.next_cursor)
    }
}

impl Part for ToolPage {
    type Item = ToolEntry;
    fn split(self) -> (Vec<ToolEntry>, Option<Cursor>) {
        (self.tools, self.next_cursor)
    }
}
