//! From a token to the person: the account, or the customer. Every answer about a person passes through here, so this is
//! where the merchants of an issuer count: a person of another merchant is unknown to the issuer's tokens.

use super::Job;
use crate::{
    db::{
        DbError,
        accounts::{self, Account},
        records,
    },
    wire::{OriginError, Refused},
};

/// A customer, with all the rows that issuers' tokens name.
pub struct Person {
    /// The lowest key of the customer's rows, which owns the lists of media.
    pub key: i64,
    /// The customer's number.
    pub id: i64,
}

impl Job<'_> {
    /// The account of the token's holder. A customer who signs in by another issuer has the account as well.
    ///
    /// # Errors
    /// 404 if the holder has no account here, or one with a merchant that the token's issuer does not speak for.
    pub fn account(&self) -> Result<Account, Refused> {
        let token = self.token.ok_or(OriginError::NoAccount)?.verified;
        let principal = &token.principal;
        let mut id = accounts::of_customer(self.connection, &principal.namespace, &principal.subject)?;
        // The origin's own issuer comes first in its configuration.
        if id.is_none() && token.issuer == 0 {
            id = accounts::of_merchant_user(self.connection, &principal.subject)?;
        }
        let account = id.map(|id| accounts::load(self.connection, id)).transpose()?.flatten();
        let account = account.filter(|account| principal.may_act_for(account.merchant_id));
        Ok(account.ok_or(OriginError::NoAccount)?)
    }

    /// The customer that the token names, or `None` if the origin has no such customer, or the customer's merchant is not
    /// one that the token's issuer speaks for.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn person(&self) -> Result<Option<Person>, DbError> {
        let Some(token) = self.token else { return Ok(None) };
        let principal = &token.verified.principal;
        let key = records::customer_key(self.connection, &principal.namespace, &principal.subject)?;
        let Some(key) = key else { return Ok(None) };
        let sql = "SELECT min(all_rows.key), all_rows.id, named.merchant_id FROM customers AS named
                   JOIN customers AS all_rows
                   ON all_rows.merchant_id = named.merchant_id AND all_rows.id = named.id WHERE named.key = ?1";
        let (person, merchant_id) = self
            .connection
            .prepare_cached(sql)?
            .query_row([key], |row| Ok((Person { key: row.get(0)?, id: row.get(1)? }, row.get(2)?)))?;
        Ok(Some(person).filter(|_| principal.may_act_for(merchant_id)))
    }

    /// The same, for a request that needs a customer.
    ///
    /// # Errors
    /// 404 if the origin has no such customer.
    pub fn known_person(&self) -> Result<Person, Refused> {
        Ok(self.person()?.ok_or(OriginError::NoAccount)?)
    }
}
