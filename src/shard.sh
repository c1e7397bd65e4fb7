# Sourced by env.sh: which shard of a run this is. Sets, from $SHARD, $this_shard (i/k), $shards (k) and $shard_suffix, which
# ends the names of its folders; all are empty for a run in one piece.
# shellcheck shell=bash disable=SC2034
refuse_shard() { echo "SHARD=$SHARD: $1" >&2; exit 2; }

shard_of_launcher() { # prints the shard that Slurm's array or, without one, RANK of WORLD_SIZE names
  local id="${SLURM_ARRAY_TASK_ID:-}" first="${SLURM_ARRAY_TASK_MIN:-0}" count="${SLURM_ARRAY_TASK_COUNT:-1}"
  local last="${SLURM_ARRAY_TASK_MAX:-0}"
  if [ -n "$id" ]; then # a part of an array, as when one task is submitted again, does not say how many shards there are
    [ "$count" -gt 1 ] && [ "$first" -le 1 ] && [ $((last - first + 1)) = "$count" ] ||
      refuse_shard "the array's tasks ($count, from $first to $last) are not all shards from 0 or 1 on: give SHARD=i/k"
    echo "$((id - first))/$count"
  elif [ -n "${RANK:-}" ] && [ -n "${WORLD_SIZE:-}" ]; then
    echo "$RANK/$WORLD_SIZE"
  else
    refuse_shard "neither SLURM_ARRAY_TASK_ID nor RANK and WORLD_SIZE are set: give SHARD=i/k"
  fi
}

this_shard="$SHARD" shards="" shard_suffix=""
if [ -n "$SHARD" ]; then
  [ -z "$MERGE" ] || refuse_shard "with MERGE=$MERGE all shards are merged: leave one of them out"
  if [ "$SHARD" = auto ]; then
    this_shard="$(shard_of_launcher)" || exit
    : "${LEDGER:="data/ledger{shard}.sqlite"}" # the tasks of a launcher may be on several machines
  fi
  [[ $this_shard =~ ^(0|[1-9][0-9]{0,8})/([1-9][0-9]{0,8})$ ]] || refuse_shard "this is not i/k, such as 0/8, or auto"
  [ "${BASH_REMATCH[1]}" -lt "${BASH_REMATCH[2]}" ] || refuse_shard "i goes from 0 to $((BASH_REMATCH[2] - 1))"
  shards="${BASH_REMATCH[2]}" shard_suffix="_shard${BASH_REMATCH[1]}of${BASH_REMATCH[2]}"
fi

cap_of_shards() { # reports what MAX_COST means for one shard
  if [ -z "$shards" ] || [ -z "$MAX_COST" ]; then
    return
  elif [ -n "$one_of_ledgers" ]; then
    echo "MAX_COST=$MAX_COST is for all $shards shards: each has a ledger of its own, and an equal part of it, $MAX_COST/$shards"
  else
    echo "MAX_COST=$MAX_COST is one cap over all shards that share the ledger $ledger; for shards on several machines," \
      "LEDGER='data/ledger{shard}.sqlite' gives each an equal part"
  fi
}
