#!/usr/bin/env bash
# The default tests: lint, then everything under tests/ that needs no browser, no GPU and no network. Flags go to pytest.
REQUIREMENTS=requirements-dev.txt
source "$(dirname "${BASH_SOURCE[0]}")/../src/env.sh"
unset PYTHONDONTWRITEBYTECODE # hundreds of commands are started: each would compile all that it imports
"$PYTHON" -m ruff check src tests
exec "$PYTHON" -m pytest -n 2 --dist loadfile --no-loadscope-reorder "$@"
