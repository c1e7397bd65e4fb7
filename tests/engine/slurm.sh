#!/usr/bin/env bash
# Opt-in: shards as an array of a real Slurm of one node on this machine. Never part of tests/run.sh. A stage of one
# shard and the rank of another are killed, a third one is requeued; then what the merge, which depends on all, has made
# is compared with the run in one piece. Needs root, and Debian's slurm-wlm and munge (apt-get install slurm-wlm munge).
#   tests/engine/slurm.sh                          the sample
#   tests/engine/slurm.sh CHAINS.jsonl [COUNT]     8 shards of the first COUNT chains
#   ENGINE_DIR=/elsewhere SHARDS=16 tests/engine/slurm.sh
source "$(dirname "$0")/shards.sh"
for program in slurmctld slurmd sbatch munged; do
  command -v $program >/dev/null || { echo "$program was not found: apt-get install slurm-wlm munge" >&2; exit 2; }
done
slurm="$ENGINE_DIR/slurm"
rm -rf "$slurm"
mkdir -p "$slurm"/{munge,state,spool}
export SLURM_CONF="$slurm/slurm.conf"

cluster() { # a munge and a Slurm of this script's own
  head -c 1024 /dev/urandom >"$slurm/munge/key"
  chown -R munge "$slurm/munge" && chmod 700 "$slurm/munge" && chmod 600 "$slurm/munge/key"
  chmod 711 "$slurm/munge"
  setpriv --reuid=munge --regid=munge --clear-groups munged --force --foreground --key-file="$slurm/munge/key" \
    --socket="$slurm/munge/socket" --pid-file="$slurm/munge/pid" --seed-file="$slurm/munge/seed" \
    --log-file="$slurm/munge/log" 2>/dev/null &
  pids=($!)
  cat >"$SLURM_CONF" <<CONF
ClusterName=engine
SlurmctldHost=$(hostname -s)(127.0.0.1)
SlurmctldPort=16817
SlurmdPort=16818
AuthType=auth/munge
AuthInfo=socket=$slurm/munge/socket
CredType=cred/munge
SlurmUser=root
SlurmdUser=root
StateSaveLocation=$slurm/state
SlurmdSpoolDir=$slurm/spool
SlurmctldPidFile=$slurm/slurmctld.pid
SlurmdPidFile=$slurm/slurmd.pid
SlurmctldLogFile=$slurm/slurmctld.log
SlurmdLogFile=$slurm/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
CommunicationParameters=NoInAddrAny
SchedulerParameters=sched_min_interval=500000
ReturnToService=2
NodeName=$(hostname -s) NodeAddr=127.0.0.1 CPUs=$(nproc) RealMemory=$(awk '/MemTotal/ {print int($2 / 1536)}' /proc/meminfo)
PartitionName=cpu Nodes=ALL Default=YES MaxTime=INFINITE State=UP
CONF
  wait_for 20 test -S "$slurm/munge/socket"
  slurmctld -D 2>/dev/null &
  pids+=($!)
  slurmd -D 2>/dev/null &
  pids+=($!)
  trap 'kill "${pids[@]}" 2>/dev/null; wait 2>/dev/null' EXIT
  wait_for 60 node_is_idle
}
node_is_idle() { sinfo -h -o %T 2>/dev/null | grep -q idle; }
job_of() { squeue -h -t RUNNING -o '%K %A %j' | awk -v task="$1" -v name="$name" '$1 == task && $3 == name {print $2}'; }
running() { [ -n "$(pids_of "SHARD=$1/$SHARDS" ' src/[a-z].*\.py ')" ]; }
nothing_left() { [ -z "$(squeue -h -o %A)" ]; }

cluster
date -u +"%Y-%m-%d %H:%M UTC"
slurmctld -V
sharded="$slurm/sharded" whole="$slurm/whole" name="chains_${NUM_SAMPLES}samples_ranks_of$SHARDS"
project "$sharded"
project "$whole"
echo "in one piece"
(cd "$whole" && ./run.sh >../whole.log)
cd "$sharded"
"$PYTHON" src/scale_out.py --shards "$SHARDS" --engine slurm --partition cpu --memory 1 --time 1:00:00

wait_for 300 kill_stage "0/$SHARDS" # the rank continues it
wait_for 300 running 3
job="$(job_of 3)" rank="$(pids_of SLURM_ARRAY_TASK_ID=3 "launch_pickled_pipeline.*$name/executor")"
kill -9 $rank && echo "killed -9: the rank of shard 3/$SHARDS, process $rank, job $job" # its job is queued again
wait_for 300 running 5
job="$(job_of 5)"
scontrol requeue "$job" && echo "requeued by hand: shard 5/$SHARDS, job $job"
squeue -o '%.12i %.40j %.10T %.20r'
wait_for 900 nothing_left
echo "jobs that were queued again: $(grep -c 'Requeuing JobId' "$slurm/slurmctld.log" || true)"
ls data/"$name"/completions data/"$name"/merge/completions
tail -3 data/"$name"/ranks/merge.log
compare "$whole" "$sharded"
