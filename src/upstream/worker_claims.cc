#include "upstream/worker_claims.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>

namespace fivefold::upstream {

using gateway::worker::kClaimsSize;

Result<std::unique_ptr<WorkerClaims>> WorkerClaims::make() {
  UniqueFd fd(::memfd_create("fivefold claims", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  // A page that its worker could shorten would end the server at its next look (SIGBUS).
  if (!fd || ::ftruncate(fd.get(), kClaimsSize) != 0 ||
      ::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
    return fail_errno(errno, "making a page of claims for a worker", Code::out_of_resources);
  void* page = ::mmap(nullptr, kClaimsSize, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  if (page == MAP_FAILED) return fail_errno(errno, "mapping a page of claims for a worker", Code::out_of_resources);
  return std::unique_ptr<WorkerClaims>(new WorkerClaims(std::move(fd), static_cast<std::atomic<std::uint32_t>*>(page)));
}

WorkerClaims::~WorkerClaims() { ::munmap(words_, kClaimsSize); }

}  // namespace fivefold::upstream
