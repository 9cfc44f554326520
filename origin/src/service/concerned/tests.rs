use super::*;
use crate::{
    db,
    service::job::{Caller, Job},
    settings::Settings,
};

/// An origin whose package 1 has `count` members with ten fees each: items 10, 11 and so on, of which
/// every seventh is inactive. Package 2 has only the first member, and a licence includes package 1.
struct Shop {
    connection: Connection,
    edge: EdgeParts,
}

impl Shop {
    fn new(count: i64) -> Self {
        let connection = db::in_memory();
        connection
            .execute_batch(&format!(
                r#"INSERT INTO merchants VALUES (1, '3f1c7a52-9be4-4d0a-8a6f-52c0d7e1b934', 'm');
                INSERT INTO access_types VALUES (5, 1, 'ppv', 1, 'day', 0, 0);
                INSERT INTO apps VALUES ('app', 1, 'App', 'plan');
                INSERT INTO licenses VALUES ('304908b5-0000-4000-8000-000000000001', 'app', 'L', 'L', '', 0, 'live', 0, '[]', NULL);
                CREATE TEMP VIEW template AS SELECT 1 AS merchant_id, '{{"id":4,"name":"Paid","auth":true}}' AS control,
                    '[{{"id":1,"name":"k","value":"v"}}]' AS metadata;
                WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n WHERE id < 9 + {count})
                INSERT INTO items SELECT id, 1, 'title', id % 7 <> 0 OR id < 10, id < 10, control,
                    CASE WHEN id < 10 THEN '{{"id":1,"name":"package","content_type":"package","host":"inplayer","description":"Package"}}'
                    ELSE '{{"id":2,"name":"jw_asset","content_type":"ovp","host":"inplayer","description":"JW"}}' END,
                    NULL, '[]', 'content', 0, NULL, NULL, 0, 0 FROM n, template;
                INSERT INTO package_items SELECT 1, id - 10, id FROM items WHERE id >= 10;
                INSERT INTO package_items VALUES (2, 0, 10);
                INSERT INTO license_items VALUES ('304908b5-0000-4000-8000-000000000001', 0, 1);
                WITH RECURSIVE n(fee) AS (SELECT 1 UNION ALL SELECT fee + 1 FROM n WHERE fee < 10)
                INSERT INTO fees SELECT items.id, fee, fee, '1', 'EUR', '', 5, NULL, NULL, NULL, NULL, NULL, 0, 0, 0
                    FROM items, n;"#
            ))
            .unwrap();
        let settings = Settings::new("".into(), "https://origin.example".to_owned());
        crate::tokens::keys::Signer::current(&connection, 0).unwrap();
        let edge = super::super::edge_of(&settings, &connection).unwrap();
        Self { connection, edge }
    }

    fn concerned(&self, path: &str, query: &str) -> Concerned<'_> {
        let request = Request { method: "GET", path, query, ..Request::default() };
        Concerned::by(&self.edge, &self.connection, &request).unwrap()
    }
}

/// How much was loaded: the lines, and the fees, members and accesses within each.
fn loaded(lines: &[Line]) -> usize {
    let of = |line: &Line| match line {
        Line::Item(item) => 1 + item.item_ids.len() + item.fees.len(),
        Line::License(license) => 1 + license.item_ids.len(),
        Line::Customer(customer) => 1 + customer.accesses.len() + customer.licenses.len(),
        _ => 1,
    };
    lines.iter().map(of).sum()
}

#[test]
fn a_page_costs_the_same_of_a_large_package_as_of_a_small_one() {
    let (small, large) = (Shop::new(1_000), Shop::new(2_000));
    for (path, query, expected) in [
        // The merchant, the package, and for each member of the page its number and its record.
        ("/items/packages/1/items", "limit=10", 1 + 1 + 2 * 10),
        ("/items/packages/1/items", "limit=100&page=3", 1 + 1 + 2 * 100),
        ("/items/packages/1/items", "page=4294967295&limit=100", 1 + 1),
        ("/items/packages/1/items", "page=x", 0),
        ("/items/packages/1", "", 2),
        ("/items/1", "", 2),
        // The merchant, the item with its fees, and the access type that all of them sell.
        ("/items/1/access-fees", "", 2 + 10 + 1),
        ("/v2/items/1/access-fees/3", "", 2 + 1 + 1),
        ("/items/77777777", "", 0),
    ] {
        let counts = [&small, &large].map(|shop| loaded(&shop.concerned(path, query).lines));
        assert_eq!(counts, [expected; 2], "{path}?{query}");
    }
}

/// Every write to an item loads it first, under the lock that all merchants' writes wait for.
#[test]
fn a_write_costs_the_same_of_a_large_package_as_of_a_small_one() {
    let counts = [1_000, 2_000].map(|count| {
        let shop = Shop::new(count);
        let caller =
            Caller { merchant_id: 1, merchant_uuid: uuid::Uuid::nil(), name: "vendor\0editor".to_owned() };
        let (request, fields) = (Request::default(), serde_json::Map::new());
        let transaction = shop.connection.unchecked_transaction().unwrap();
        let job = Job {
            db: &transaction,
            now: 0,
            caller: &caller,
            request: &request,
            fields: &fields,
            change: Default::default(),
        };
        loaded(&[Line::Item(job.item(1).unwrap())])
    });
    // The package and its fees.
    assert_eq!(counts, [1 + 10; 2]);
}

#[test]
fn a_page_is_cut_from_the_active_members_in_their_order() {
    let shop = Shop::new(50);
    let active: Vec<i64> = (10..60).filter(|id| id % 7 != 0).collect();
    for (query, offset, limit) in
        [("limit=10", 0, 10), ("limit=10&page=2", 10, 10), ("page=9&limit=20", 160, 20)]
    {
        let concerned = shop.concerned("/items/packages/1/items", query);
        assert_eq!(concerned.window, Some(MemberWindow { offset, total: active.len() }));
        let package = concerned.lines.iter().find_map(|line| match line {
            Line::Item(item) if item.id == 1 => Some(&item.item_ids),
            _ => None,
        });
        let skipped = usize::try_from(offset).unwrap();
        let expected: Vec<_> = active.iter().copied().skip(skipped).take(limit).collect();
        assert_eq!(package, Some(&expected), "{query}");
    }
}

#[test]
fn a_check_loads_the_links_and_not_a_packages_other_members() {
    let counts = [1_000, 2_000].map(|count| {
        let shop = Shop::new(count);
        let item = records::item_alone(&shop.connection, 10).unwrap().unwrap();
        let mut concerned = Concerned { connection: &shop.connection, lines: Vec::new(), window: None };
        concerned.leading_to(BTreeMap::from([(item.id, item.clone())]), &mut BTreeSet::new()).unwrap();
        loaded(&concerned.lines)
    });
    // The item, and two packages and a licence, each reduced to the item of the check.
    assert_eq!(counts, [1 + 3 * 2; 2]);
}
