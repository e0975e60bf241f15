#include "kernels/cuda/simt/emulation/scheduler.h"

#include "kernels/cuda/simt/emulation/failures.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace mfs::core::simt::emulation {
namespace {

thread_local State* active = nullptr;

constexpr size_t kAlignment = 1024;

size_t rounded(size_t bytes) { return (std::max<size_t>(bytes, 1) + kAlignment - 1) / kAlignment * kAlignment; }

void entry() {
  State& s = *active;
  arrived(s.scheduler);
  Thread& thread = *s.running;
  thread.block->grid->body();
  thread.done = true;
  switch_to(thread.context, s.scheduler, true);
  std::abort();  // never resumed
}

std::unique_ptr<Block> make_block(State& s, Grid& grid, Cluster& cluster, Dim3 index) {
  auto block = std::make_unique<Block>();
  const LaunchShape& shape = grid.shape;
  const auto threads = static_cast<unsigned>(shape.block.count());
  block->cluster = &cluster;
  block->grid = &grid;
  block->index = index;
  block->rank = static_cast<unsigned>(cluster.blocks.size());
  block->shared = static_cast<unsigned char*>(std::aligned_alloc(kAlignment, rounded(shape.shared_bytes)));
  std::memset(block->shared, 0xff, rounded(shape.shared_bytes));  // every floating-point type reads it as NaN
  block->shared_base = static_cast<uint32_t>(kAlignment * (1 + s.random() % 16));
  block->threads.resize(threads);
  block->warps.resize((threads + 31) / 32);
  block->warpgroups.resize((threads + 127) / 128);
  for (Warp& w : block->warps) w.trace.position.resize(32);
  if (threads % 32 != 0) block->warps.back().absent = 0xffffffffu << threads % 32;
  unsigned registers = shape.registers_per_thread;
  if (registers == 0) registers = std::min(248u, static_cast<unsigned>(kRegistersPerSm / (block->warps.size() * 32)) / 8 * 8);
  for (Warpgroup& w : block->warpgroups) {
    w.trace.position.resize(128);
    w.registers = registers;
  }
  for (unsigned i = 0; i < threads; ++i) {
    Thread& t = block->threads[i];
    t.block = block.get();
    t.number = i;
    t.index = {i % shape.block.x, i / shape.block.x % shape.block.y, i / shape.block.x / shape.block.y};
    t.agent = {cluster.group, block->rank * threads + i};
    t.stack = s.stacks.take();
    t.knowledge.grids = grid.known;
    prepare(t.context, t.stack, entry);
  }
  return block;
}

void start_cluster(State& s, Grid& grid) {
  auto cluster = std::make_unique<Cluster>();
  cluster->grid = &grid;
  cluster->group = s.next_group++;
  const Dim3 size = grid.shape.cluster;
  const unsigned across = grid.shape.grid.x / size.x, down = grid.shape.grid.y / size.y;
  const auto number = static_cast<unsigned>(grid.clusters_started++);
  const Dim3 first{number % across * size.x, number / across % down * size.y, number / across / down * size.z};
  for (unsigned z = 0; z < size.z; ++z)
    for (unsigned y = 0; y < size.y; ++y)
      for (unsigned x = 0; x < size.x; ++x)
        cluster->blocks.push_back(make_block(s, grid, *cluster, {first.x + x, first.y + y, first.z + z}));
  cluster->first_async_slot = static_cast<unsigned>(size.count() * grid.shape.block.count());
  s.resident.push_back(std::move(cluster));
}

// Kernels start in stream order: when the one before is complete or, launched programmatically, when all its blocks have
// allowed that or have ended.
void admit(State& s) {
  for (size_t i = 0; i < s.grids.size(); ++i) {
    Grid& grid = *s.grids[i];
    if (i > 0) {
      const Grid& before = *s.grids[i - 1];
      if (!grid.shape.programmatic || before.blocks_triggered < before.shape.grid.count()) return;
    }
    while (grid.clusters_started < grid.clusters_total &&
           (grid.shape.cooperative || s.resident.size() < s.options.resident_clusters + i))
      start_cluster(s, grid);
  }
}

void retire_block(State& s, Block& block) {
  for (const AsyncOp& op : s.pending) {
    if (op.block == &block) fail(op.issuer->site, "the block exits while a %s is in flight", op.what);
  }
  for (const Warp& w : block.warps) {
    if (!w.trace.steps.empty()) fail(w.trace.steps.front().site, "a lane of the warp exited without this .aligned instruction");
  }
  for (const auto& [address, barrier] : block.mbarriers) {
    if (barrier.signalled > barrier.heard)
      fail(block.threads[0].site, "the block exits without having waited for other blocks' signals at an mbarrier");
  }
  const bool waited =
      std::all_of(block.threads.begin(), block.threads.end(), [](const Thread& t) { return t.grid_dependency_waited; });
  if (block.grid->shape.programmatic && !waited) {
    fail(block.threads[0].site, "launched programmatically, but not every thread executed griddepcontrol.wait");
  }
  if (!block.dependents_launched) ++block.grid->blocks_triggered;
  ++block.grid->blocks_done;
}

void finish_thread(State& s, Thread& thread) {
  s.running = &thread;  // for the texts of failures
  complete([&](const AsyncOp& op) { return op.issuer == &thread && op.kind == GroupKind::kCopy; });
  s.stacks.give_back(thread.stack);
  thread.stack = nullptr;
  ++thread.block->exited;
  thread.block->warps[thread.number / 32].absent |= 1u << thread.number % 32;
  if (thread.block->finished()) retire_block(s, *thread.block);
}

void retire(State& s) {
  std::erase_if(s.resident, [&s](const std::unique_ptr<Cluster>& c) {
    const bool over = std::all_of(c->blocks.begin(), c->blocks.end(), [](const auto& b) { return b->finished(); });
    if (over && s.options.detect_races) {
      for (const auto& b : c->blocks)
        s.shadow.forget(reinterpret_cast<uintptr_t>(b->shared), rounded(b->grid->shape.shared_bytes));
    }
    return over;
  });
  while (!s.grids.empty() && s.grids.front()->finished()) {
    s.grids.pop_front();
    if (s.grids.empty()) s.shadow.clear();
  }
}

// Runs one operation that is under way, and before it those that the hardware would have run earlier.
bool complete_one(State& s) {
  if (s.pending.empty()) return false;
  auto op = s.pending.begin();
  if (s.options.completion == Completion::kRandom) std::advance(op, s.random() % s.pending.size());
  if (op->chain) op = std::find_if(s.pending.begin(), s.pending.end(), [&](const AsyncOp& o) { return o.chain == op->chain; });
  s.running = op->issuer;
  const auto run = std::move(op->run);
  s.pending.erase(op);
  run();
  return true;
}

// One turn for every thread that can run. Returns whether any could.
bool run_round(State& s) {
  std::vector<Thread*> order;
  for (const auto& c : s.resident)
    for (const auto& b : c->blocks)
      for (Thread& t : b->threads)
        if (!t.done) order.push_back(&t);
  if (s.options.order == Order::kReverse) std::reverse(order.begin(), order.end());
  if (s.options.order == Order::kRandom) std::shuffle(order.begin(), order.end(), s.random);
  bool progress = false;
  for (Thread* t : order) {
    if (t->ready && !t->ready(t->ready_argument)) continue;
    t->ready = nullptr;
    progress = true;
    s.running = t;
    s.on_fiber = true;
    switch_to(s.scheduler, t->context);
    s.on_fiber = false;
    if (s.failed) return true;
    if (t->done) finish_thread(s, *t);
    s.running = nullptr;
    if (s.options.completion == Completion::kRandom && s.random() % 8 == 0) complete_one(s);
  }
  s.running = nullptr;
  return progress;
}

void run_all(State& s) {
  while (!s.failed) {
    admit(s);
    if (s.resident.empty()) return;
    const bool progress = run_round(s);
    if (s.failed) return;
    retire(s);
    if (!progress && !complete_one(s)) report_deadlock(s);
    s.running = nullptr;
  }
}

void abandon(State& s) {
  for (const auto& c : s.resident)
    for (const auto& b : c->blocks)
      for (const Thread& t : b->threads)
        if (t.stack) s.stacks.give_back(t.stack);
  s.pending.clear();
  s.resident.clear();
  s.grids.clear();
  s.shadow.clear();
  s.atomics.clear();
  s.running = nullptr;
}

}  // namespace

bool Block::contains(const void* p) const { return p >= shared && p < shared + rounded(grid->shape.shared_bytes); }

Block::~Block() { std::free(shared); }

State& state() { return *active; }
State* state_or_null() { return active; }
Thread& current() { return *active->running; }

void suspend(const char* what, const Site& site, bool (*ready)(const void*), const void* argument) {
  Thread& thread = current();
  thread.waits_for = what;
  thread.site = site;
  thread.ready = ready;
  thread.ready_argument = argument;
  switch_to(thread.context, active->scheduler);
}

void maybe_yield(const Site& site) {
  if (active->options.order == Order::kRandom && active->random() % 8 == 0) {
    suspend(
        "its turn", site, [](const void*) { return true; }, nullptr);
  }
}

Machine::Machine(const Options& options) : state_(std::make_unique<State>()) {
  state_->options = options;
  state_->random.seed(options.seed);
}

Machine::~Machine() = default;

void Machine::enqueue(const LaunchShape& shape, std::function<void()> body) {
  auto grid = std::make_unique<Grid>();
  grid->name = shape.name;
  grid->shape = shape;
  grid->body = std::move(body);
  grid->id = state_->next_grid++;
  // A chain of programmatic launches is only ordered by griddepcontrol.wait: until then a kernel knows what was complete before
  // the chain began.
  const bool chained = shape.programmatic && !state_->grids.empty();
  grid->known = chained ? state_->grids.back()->known : grid->id - 1;
  grid->clusters_total = shape.grid.count() / shape.cluster.count();
  state_->grids.push_back(std::move(grid));
}

size_t Machine::queued() const { return state_->grids.size(); }
const Options& Machine::options() const { return state_->options; }

std::vector<Machine::Work> Machine::take_queue() {
  std::vector<Work> works;
  for (auto& grid : state_->grids) works.push_back({grid->shape, std::move(grid->body)});
  state_->grids.clear();
  return works;
}

Status Machine::synchronize() {
  active = state_.get();
  try {
    run_all(*state_);
  } catch (const Abandon&) {
  }
  abandon(*state_);
  active = nullptr;
  state_->failed = false;
  if (state_->reports.empty()) return {};
  return {Code::kInternal, state_->reports.front()};
}

const std::vector<std::string>& Machine::reports() const { return state_->reports; }
uint64_t Machine::bank_conflicts() const { return state_->bank_conflicts; }

}  // namespace mfs::core::simt::emulation
