-- A small shop to try the kit with.

BEGIN;

INSERT INTO shop.store (id, uuid, name, app, client_id)
VALUES (21, 'e5ac2013-8d10-42ba-abb5-291c5201cea8', 'Harbour Films', 'harbour', 'harbour-web');
INSERT INTO shop.terms (id, name, quantity, period) VALUES (1, 'ppv', 48, 'hour'), (2, 'ppv_custom', 100, 'year');
INSERT INTO shop.products (id, title, is_package, video_id) VALUES
    (33, 'Slack Water', false, '6301'), (34, 'Ebb', false, '6302'), (40, 'All films', true, NULL);
INSERT INTO shop.package_products (package_id, product_id, position) VALUES (40, 33, 1), (40, 34, 2);
INSERT INTO shop.prices (id, product_id, term_id, amount, currency, description) VALUES
    (7, 33, 1, 4.99, 'EUR', '48-hour rental'), (8, 34, 2, 14.99, 'EUR', 'To keep');
INSERT INTO shop.plans (id, code, name) VALUES ('b90831a7-2f6d-4c3e-8a41-0d5e7f9b6c12', 'HF001', 'Monthly');
INSERT INTO shop.plan_products (plan_id, product_id) VALUES ('b90831a7-2f6d-4c3e-8a41-0d5e7f9b6c12', 40);
INSERT INTO shop.customers (id, uuid, email)
SELECT n, ('11a7ed90-65d3-4ee2-9d91-' || lpad(to_hex(n), 12, '0'))::uuid, 'viewer' || n || '@example.com'
FROM generate_series(1, 200) n;
INSERT INTO shop.subscriptions (customer_id, plan_id, renews_on)
SELECT n, 'b90831a7-2f6d-4c3e-8a41-0d5e7f9b6c12', now() + interval '1 month' FROM generate_series(101, 110) n;
SELECT setval(pg_get_serial_sequence('shop.' || t, 'id'), 1000)
FROM unnest(ARRAY['products', 'prices', 'terms', 'customers']) t;

COMMIT;
