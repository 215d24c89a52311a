#!/usr/bin/env bash
# The same site a second time on a host where goldpath has it: as the seeds' runbook sets one up. setup.sh GUNICORN-OPTIONS
# It has a database, media and a cache of its own; the Celery worker that its /health/ asks is the other one's.
set -euo pipefail
here=$(dirname "$0") other=/srv/sum/acme-kitchens site=/srv/seeds
password=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
install -d -o deploy -g deploy $site
install -d -o deploy -g www-data $site/static
cp -a $other/media $site/media
chown -R deploy: $site/media
sed -e 's/^DJANGO_DB_NAME=.*/DJANGO_DB_NAME=seeds/; s/^DJANGO_DB_USER=.*/DJANGO_DB_USER=seeds/' \
	-e "s/^DJANGO_DB_PASSWORD=.*/DJANGO_DB_PASSWORD=$password/; s#^REDIS_URL=.*#REDIS_URL=redis://127.0.0.1:6379/9#" \
	-e "s#$other#$site#g; s/acme\.test/seeds.test/g" $other/.env >$site/.env
chown deploy: $site/.env
chmod 600 $site/.env
cd /
runuser -u postgres -- psql -qc "create role seeds login password '$password'"
runuser -u postgres -- createdb -O seeds seeds
runuser -u postgres -- pg_dump --no-owner --no-privileges acme_kitchens | PGPASSWORD=$password psql -qX -h 127.0.0.1 -U seeds seeds >/dev/null
runuser -u deploy -- git clone -q file:///srv/git/acme.git $site/app
runuser -u deploy -- python3 -m venv $site/venv
runuser -u deploy -- $site/venv/bin/pip install -q --disable-pip-version-check -r $site/app/requirements.txt
install -m 755 "$here/deploy.sh" $site/deploy.sh
sed "s/OPTIONS/$*/" "$here/gunicorn.service" >/etc/systemd/system/sum-seeds-gunicorn.service
echo 'deploy ALL=NOPASSWD: /usr/bin/systemctl restart sum-seeds-gunicorn.service' >/etc/sudoers.d/seeds
install -m 644 "$here/site.caddy" /etc/caddy/sites-enabled/seeds.caddy
systemctl daemon-reload
systemctl -q enable sum-seeds-gunicorn.service
systemctl reload caddy
# Its smoke check comes before gunicorn has bound its socket, and fails then.
runuser -u deploy -- $site/deploy.sh "$(git -C /srv/git/acme.git rev-parse main)" >/dev/null 2>&1 || true
