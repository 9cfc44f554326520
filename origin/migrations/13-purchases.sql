-- What the publish schema says of purchases: how an access was bought, when it renews, and which trials were used.
ALTER TABLE accesses ADD COLUMN renews_on INTEGER;
-- `purchase` of the publish schema.
ALTER TABLE accesses ADD COLUMN purchase_json TEXT;

-- Of what was bought before, the price is that of the fee today. Of a fee that is gone, it is unknown.
UPDATE accesses SET purchase_json = (
    SELECT json_object('amount', json(amount), 'currency', currency, 'access_fee_id', fees.id, 'trial', json('false'))
    FROM fees WHERE fees.item_id = accesses.item_id AND fees.id = fee_id AND octet_length(currency) <= 64)
WHERE fee_id IS NOT NULL;

-- Items whose trial a customer has used. No reference to items, as for accesses.
CREATE TABLE used_trials (
    customer_key INTEGER NOT NULL REFERENCES customers ON DELETE CASCADE,
    item_id      INTEGER NOT NULL,
    PRIMARY KEY (customer_key, item_id)
) STRICT, WITHOUT ROWID;
