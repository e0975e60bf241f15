// Ctrl-C: the first one ends the work at the next safe point, a second one ends the program.
#pragma once

namespace mfs::tools {

void catch_interrupts();    // SIGINT and SIGTERM
int interrupting_signal();  // 0: none so far

}  // namespace mfs::tools
