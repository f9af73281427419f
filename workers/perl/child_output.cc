#include "child_output.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <csignal>
#include <memory>

namespace fivefold::perl {

int lifted(int descriptor) {
  if (descriptor < 0 || descriptor > STDERR_FILENO) return descriptor;
  const int above = fcntl(descriptor, F_DUPFD_CLOEXEC, 10);
  close(descriptor);
  return above;
}

bool ChildOutput::make_pipe() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return false;
  fcntl(ends[0], F_SETFL, O_NONBLOCK);
  read_ = lifted(ends[0]);
  write_ = lifted(ends[1]);
  return read_ >= 0 && write_ >= 0;
}

bool ChildOutput::start(std::function<void(std::string_view)> take) {
  take_ = std::move(take);
  wake_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  return wake_ >= 0 && make_pipe();
}

void ChildOutput::lock() {
  if (have_thread_) pthread_mutex_lock(&mutex_);
}

void ChildOutput::unlock() {
  if (have_thread_) pthread_mutex_unlock(&mutex_);
}

void ChildOutput::share() {
  if (shared_) return;
  if (!have_thread_) {
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_t thread;
    have_thread_ = pthread_create(&thread, nullptr, &ChildOutput::run, this) == 0;
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    if (have_thread_) pthread_detach(thread);
  }
  lock();
  shared_ = true;
  pthread_cond_signal(&changed_);
  unlock();
}

void ChildOutput::drain() {
  const auto piece = std::make_unique_for_overwrite<char[]>(kPiece);
  ssize_t got = 0;
  while ((got = read(read_, piece.get(), kPiece)) > 0) take_({piece.get(), static_cast<std::size_t>(got)});
}

bool ChildOutput::renew() {
  if (!shared_) return false;
  lock();
  shared_ = false;
  const int old[] = {read_, write_};
  make_pipe();
  // The thread may be waiting for the old pipe.
  const std::uint64_t one = 1;
  if (write(wake_, &one, sizeof one) < 0) shared_ = false;
  unlock();
  for (int descriptor : old) close(descriptor);
  return true;
}

void ChildOutput::in_child() {
  mutex_ = PTHREAD_MUTEX_INITIALIZER;
  have_thread_ = shared_ = false;
}

void* ChildOutput::run(void* self) {
  static_cast<ChildOutput*>(self)->watch();
  return nullptr;
}

void ChildOutput::watch() {
  pthread_mutex_lock(&mutex_);
  while (true) {
    while (!shared_) pthread_cond_wait(&changed_, &mutex_);
    pollfd sources[] = {{read_, POLLIN, 0}, {wake_, POLLIN, 0}};
    pthread_mutex_unlock(&mutex_);
    poll(sources, 2, -1);
    pthread_mutex_lock(&mutex_);
    std::uint64_t count = 0;
    while (read(wake_, &count, sizeof count) > 0) {
    }
    if (shared_) drain();
  }
}

}  // namespace fivefold::perl
