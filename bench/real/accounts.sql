-- Fills, indexes, changes and asks a small table.
.mode csv
CREATE TABLE account(id INTEGER PRIMARY KEY, name TEXT, balance INTEGER);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40000)
INSERT INTO account SELECT i, printf('name%05d', (i * 7919) % 40000), (i * 104729) % 10007 FROM n;
CREATE INDEX by_name ON account(name);
CREATE INDEX by_balance ON account(balance);
UPDATE account SET balance = balance + 17 WHERE id % 3 = 0;
DELETE FROM account WHERE balance % 11 = 4;
SELECT balance % 97 AS class, count(*), sum(balance), avg(balance), min(name), max(name) FROM account GROUP BY class ORDER BY 3 DESC LIMIT 20;
SELECT count(*) FROM account a JOIN account b ON a.balance = b.balance WHERE a.id < b.id;
SELECT name, balance FROM account WHERE name LIKE '%777%' ORDER BY balance, name LIMIT 20;
