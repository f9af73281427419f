#include "php/children.h"

#include <pthread.h>
#include <sys/wait.h>

namespace fivefold::worker::php {

namespace {

bool have_children = false;

void forked() { have_children = true; }

}  // namespace

void watch_forks() { pthread_atfork(nullptr, forked, nullptr); }

void reap_children() {
  if (!have_children) return;
  pid_t pid = 0;
  while ((pid = waitpid(-1, nullptr, WNOHANG)) > 0) {
  }
  have_children = pid == 0;  // some live on
}

}  // namespace fivefold::worker::php
