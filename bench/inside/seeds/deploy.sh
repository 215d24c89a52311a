#!/usr/bin/env bash
# A deploy in the seeds' way, as their runbook has it: in place, one venv, a restart. Run as the deploy user: deploy.sh REF
set -euo pipefail
site=/srv/seeds
cd "$site/app"
git fetch --quiet --tags --prune origin
git checkout --quiet --detach "$1"
sha=$(git rev-parse HEAD)
# So that a prober can tell which release answers: the one thing that is not in the runbook.
printf 'GIT_SHA=%s\nBUILD_ID=%s\nRELEASE=%s\n' "$sha" "$sha" "$sha" >"$site/release.env"
set -a
# shellcheck disable=SC1091  # there on the host only
. "$site/.env"
# shellcheck disable=SC1091
. "$site/release.env"
set +a
"$site/venv/bin/pip" install --quiet --disable-pip-version-check -r requirements.txt
"$site/venv/bin/python" manage.py migrate --noinput
"$site/venv/bin/python" manage.py collectstatic --noinput
sudo systemctl restart sum-seeds-gunicorn.service
curl -fsSk -o /dev/null https://seeds.test/health/
