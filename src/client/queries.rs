//! Queries for registered servers and tools.

use http::Method;
use serde::de::DeserializeOwned;

use super::transport::Request;
use super::{Client, ClientError, random};
use crate::model::{Cursor, Filter, LeaseState, PAGE_LIMITS, Page, Server, Stats, ToolEntry, ToolPage};

impl Client {
    /// Returns one server in full, or `None` if the id is not registered.
    ///
    /// # Errors
    /// If the registry cannot answer.
    pub async fn get(&self, id: &str) -> Result<Option<Server>, ClientError> {
        self.get_optional(&["v1", "servers", id], id).await
    }

    /// Returns the health of a server and the remaining time of its lease, or `None` if the id is not registered.
    ///
    /// # Errors
    /// If the registry cannot answer.
    pub async fn health(&self, id: &str) -> Result<Option<LeaseState>, ClientError> {
        self.get_optional(&["v1", "servers", id, "health"], id).await
    }

    async fn get_optional<T: DeserializeOwned>(
        &self,
        path: &[&str],
        id: &str,
    ) -> Result<Option<T>, ClientError> {
        let answer = match self.send(&Request::new(Method::GET, path.iter().copied())).await {
            Ok(answer) => answer.json(id),
            Err(error) => Err(error),
        };
        match answer {
            Err(ClientError::NotRegistered { .. }) => Ok(None),
            answer => answer.map(Some),
        }
    }

    /// Returns a page of the servers that match a filter.
    ///
    /// # Errors
    /// [`ClientError::InvalidFilter`], or if the registry cannot answer.
    pub async fn find(&self, filter: Filter) -> Result<Page, ClientError> {
        self.list("servers", &filter).await
    }

    /// Returns all servers that match a filter, requested page by page.
    ///
    /// # Errors
    /// As [`find`](Self::find).
    pub async fn find_all(&self, filter: Filter) -> Result<Vec<Server>, ClientError> {
        self.all::<Page>("servers", filter).await
    }

    /// Returns a page of the tools that match a filter, each once, with the servers that offer it.
    ///
    /// # Errors
    /// As [`find`](Self::find).
    pub async fn tools(&self, filter: Filter) -> Result<ToolPage, ClientError> {
        self.list("tools", &filter).await
    }

    /// Returns all tools that match a filter, requested page by page.
    ///
    /// # Errors
    /// As [`find`](Self::find).
    pub async fn all_tools(&self, filter: Filter) -> Result<Vec<ToolEntry>, ClientError> {
        self.all::<ToolPage>("tools", filter).await
    }

    async fn all<P: ResultPage>(&self, what: &str, filter: Filter) -> Result<Vec<P::Item>, ClientError> {
        let (mut all, mut next) = (Vec::new(), filter);
        loop {
            let (items, cursor) = self.list::<P>(what, &next).await?.into_parts();
            all.extend(items);
            match cursor {
                Some(cursor) => next = next.after(&cursor),
                None => return Ok(all),
            }
        }
    }

    async fn list<T: DeserializeOwned>(&self, what: &str, filter: &Filter) -> Result<T, ClientError> {
        filter.check()?;
        let mut request = Request::new(Method::GET, ["v1", what]);
        request.query = match &filter.after {
            Some(position) => vec![("cursor".to_owned(), filter.cursor(position.clone()).to_string())],
            None => filter.pairs(),
        };
        self.send(&request).await?.json("")
    }

    /// Returns the numbers of registered servers, tools, resources and prompts.
    ///
    /// # Errors
    /// If the registry cannot answer.
    pub async fn stats(&self) -> Result<Stats, ClientError> {
        self.send(&Request::new(Method::GET, ["v1", "stats"])).await?.json("")
    }

    /// Returns a random healthy server of this name, so that many clients are spread over all of them.
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

/// A page of results, and the position of the next one.
trait ResultPage: DeserializeOwned {
    type Item;
    fn into_parts(self) -> (Vec<Self::Item>, Option<Cursor>);
}

impl ResultPage for Page {
    type Item = Server;
    fn into_parts(self) -> (Vec<Server>, Option<Cursor>) {
        (self.servers, self.next_cursor)
    }
}

impl ResultPage for ToolPage {
    type Item = ToolEntry;
    fn into_parts(self) -> (Vec<ToolEntry>, Option<Cursor>) {
        (self.tools, self.next_cursor)
    }
}
