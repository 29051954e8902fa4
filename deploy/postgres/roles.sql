-- The roles of Weft and its database, for psql 15 or newer, as a superuser; again does no harm. The passwords come as
-- environment variables. `weft up` and deploy/compose.yaml use this file.
\getenv owner_password WEFT_OWNER_PASSWORD
\getenv app_password WEFT_APP_PASSWORD
\getenv queue_password WEFT_QUEUE_PASSWORD
SELECT format('CREATE ROLE %I NOLOGIN', name)
FROM unnest(ARRAY['weft_owner', 'weft_app', 'weft_queue', 'weft_definer']) AS name
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) \gexec
ALTER ROLE weft_owner LOGIN PASSWORD :'owner_password';
ALTER ROLE weft_app LOGIN PASSWORD :'app_password';
ALTER ROLE weft_queue LOGIN PASSWORD :'queue_password';
GRANT weft_definer TO weft_owner;
SELECT 'CREATE DATABASE weft OWNER weft_owner'
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'weft') \gexec
REVOKE ALL ON DATABASE weft FROM PUBLIC;
GRANT CONNECT ON DATABASE weft TO weft_app, weft_queue;
