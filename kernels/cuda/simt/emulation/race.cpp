// Order of memory accesses: who knows what, and who touched what without knowing.
#include "kernels/cuda/simt/emulation/scheduler.h"

namespace mfs::core::simt::emulation {
namespace {

const char* verb(Touch kind) {
  return kind == Touch::kRead ? "reads" : kind == Touch::kWrite ? "writes" : "atomically updates";
}

const char* noun(Touch kind) {
  return kind == Touch::kRead ? "a read" : kind == Touch::kWrite ? "a write" : "an atomic update";
}

void record(const Actor& actor, const void* p, size_t bytes, Touch kind, const Site& site) {
  State& s = state();
  const Finding finding = s.shadow.record(reinterpret_cast<uintptr_t>(p), bytes, kind, actor);
  if (finding.conflict == Conflict::kNone) return;
  const Block* block = block_of(p);
  const uintptr_t base = block ? reinterpret_cast<uintptr_t>(block->shared) : reinterpret_cast<uintptr_t>(p);
  const auto offset = static_cast<long>(finding.address - base);
  const Access& earlier = finding.earlier;
  const unsigned first_async = current().block->cluster->first_async_slot;
  const unsigned block_threads = static_cast<unsigned>(current().block->threads.size());
  const bool by_thread = earlier.agent.group == current().agent.group && earlier.agent.slot < first_async;
  char who[64];
  if (by_thread) {
    std::snprintf(who, sizeof who, "thread %u of block %u of its cluster", earlier.agent.slot % block_threads,
                  earlier.agent.slot / block_threads);
  } else {
    std::snprintf(who, sizeof who, "%s",
                  earlier.agent.group == current().agent.group ? "an asynchronous operation" : "another cluster");
  }
  const char* what = actor.agent == current().agent ? "it" : "an asynchronous operation";
  if (finding.conflict == Conflict::kMissingProxyFence) {
    report(site, "missing fence_proxy_async: %s %s %s memory (offset %ld) after %s by %s", what, verb(kind),
           block ? "shared" : "global", offset, noun(earlier.touch), who);
  } else {
    report(site, "race: %s %s %s memory (offset %ld), unordered with %s by %s", what, verb(kind), block ? "shared" : "global",
           offset, noun(earlier.touch), who);
  }
}

}  // namespace

void touch(const void* p, size_t bytes, Touch kind, const Site& site) {
  State& s = state();
  if (!s.options.detect_races || s.reporting || bytes == 0 || s.stacks.contains(p)) return;
  const Thread& t = current();
  record({t.agent, t.epoch, t.block->grid->id, false, &t.knowledge}, p, bytes, kind, site);
}

void release(Knowledge& into) {
  if (!state().options.detect_races) return;
  Thread& t = current();
  into.join(t.knowledge);
  into.seen.set(t.agent, t.epoch++);
}

void acquire(const Knowledge& from) {
  if (state().options.detect_races) current().knowledge.join(from);
}

AsyncAgent make_async_agent(Thread& issuer) {
  AsyncAgent result;
  result.issuer = &issuer;
  if (!state().options.detect_races) return result;
  Cluster& cluster = *issuer.block->cluster;
  // An agent that the issuer knows to be finished serves again: whoever knows its new epoch knows its old one.
  unsigned slot = 0;
  while (slot < cluster.slot_epochs.size()) {
    if (issuer.knowledge.seen.at({cluster.group, cluster.first_async_slot + slot}) >= cluster.slot_epochs[slot]) break;
    ++slot;
  }
  if (slot == cluster.slot_epochs.size()) cluster.slot_epochs.push_back(0);
  result.agent = {cluster.group, cluster.first_async_slot + slot};
  result.epoch = ++cluster.slot_epochs[slot];
  result.grid = issuer.block->grid->id;
  return renew(std::move(result));
}

AsyncAgent renew(AsyncAgent agent) {
  agent.knowledge = agent.issuer->knowledge;
  agent.knowledge.seen.set(agent.issuer->agent, agent.issuer->epoch++);
  return agent;
}

void touch(const AsyncAgent& agent, const void* p, size_t bytes, Touch kind, bool async_proxy, const Site& site) {
  if (!state().options.detect_races || bytes == 0) return;
  record({agent.agent, agent.epoch, agent.grid, async_proxy, &agent.knowledge}, p, bytes, kind, site);
}

void release(const AsyncAgent& agent, Knowledge& into, bool async_proxy) {
  if (!state().options.detect_races) return;
  into.join(agent.knowledge);
  into.seen.set(agent.agent, agent.epoch);
  if (async_proxy) into.fenced.set(agent.agent, agent.epoch);
}

}  // namespace mfs::core::simt::emulation
