#!/bin/bash
# papertrial on SLURM: one Ray over all nodes of the job, and the run on the first of them. What follows the script is for `papertrial run`:
#
#     sbatch deploy/slurm.sh mup-weight-decay-transfer --scale gpu --store /shared/studies --tracking-uri none
#
# To edit: the lines of #SBATCH, or their like on the command line of sbatch, and where the environment comes from. All nodes see the
# store, and the data (a shared PAPERTRIAL_CACHE, or `papertrial data push`).
#
# Two minutes before the limit papertrial is told to stop, writes its tables, and the job goes back into the queue; so it does when a node
# fails or the job is preempted. A requeued job runs the same command, which goes on where it stopped. `scancel` ends it for good.
#SBATCH --job-name=papertrial
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=16
#SBATCH --gpus-per-node=1
#SBATCH --time=04:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=B:USR1@120
set -euo pipefail

# source /shared/papertrial/.venv/bin/activate

driver="" near_the_limit=""
# shellcheck disable=SC2329  # the traps call it
stop() { if [[ -n $driver ]]; then kill -TERM "$driver" 2>/dev/null || true; else exit 1; fi; }
# USR1 is the limit; TERM is scancel, or a preemption, after which SLURM requeues by itself.
trap 'near_the_limit=1; stop' USR1
trap stop TERM
trap 'jobs -p | xargs --no-run-if-empty kill 2>/dev/null || true' EXIT

mapfile -t nodes < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
first=${nodes[0]}
# Jobs may share a node: each has its own port, folder and token. Without a token whoever reaches the port can run code.
export HEAD="$first:$((20000 + SLURM_JOB_ID % 10000))" CPUS="$SLURM_CPUS_PER_TASK"
RAY_AUTH_TOKEN=$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')
export RAY_AUTH_TOKEN RAY_AUTH_MODE=token RAY_TMPDIR="/tmp/ray-$SLURM_JOB_ID" OMP_NUM_THREADS=1

# Ray would count all CPUs of a node, not those of the job; cards it counts by CUDA_VISIBLE_DEVICES.
srun --overlap --nodes=1 --ntasks=1 --nodelist="$first" \
    ray start --head --block --port="${HEAD##*:}" --num-cpus="$CPUS" --include-dashboard=false --disable-usage-stats &
# shellcheck disable=SC2016  # the variables are those of whoever asks
until_it_answers='for _ in $(seq 90); do ray status --address="$HEAD" >/dev/null 2>&1 && break; sleep 2; done'
if ((${#nodes[@]} > 1)); then
    # shellcheck disable=SC2016  # the variables are the node's
    srun --overlap --nodes=$((${#nodes[@]} - 1)) --ntasks=$((${#nodes[@]} - 1)) --ntasks-per-node=1 --exclude="$first" \
        bash -c "$until_it_answers; "'exec ray start --block --address="$HEAD" --num-cpus="$CPUS"' &
fi
bash -c "$until_it_answers"

papertrial run "$@" --address "$HEAD" &
driver=$!
code=0
wait "$driver" || code=$?
# A signal ends the first wait, not the driver, which has tables to write.
while kill -0 "$driver" 2>/dev/null; do
    code=0
    wait "$driver" || code=$?
done
if [[ -n $near_the_limit && $code -ne 0 ]]; then
    scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
