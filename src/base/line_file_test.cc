#include "base/line_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

namespace fivefold {
namespace {

struct TemporaryFile {
  char path[32] = "/tmp/line_file_XXXXXX";
  UniqueFd fd{::mkstemp(path)};
  ~TemporaryFile() { ::unlink(path); }
  std::string content() const {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
  }
};

TEST(LineFile, WritesWholeLinesInOrder) {
  TemporaryFile file;
  LineFile lines(std::move(file.fd));
  lines.append("one");
  lines.append("two");
  lines.flush();
  EXPECT_EQ(file.content(), "one\ntwo\n");
}

TEST(LineFile, WritesWhatIsLeftWhenItEnds) {
  TemporaryFile file;
  {
    LineFile lines(std::move(file.fd));
    lines.append("last");
  }
  EXPECT_EQ(file.content(), "last\n");
}

TEST(LineFile, LinesBeforeAReopenGoToTheOldFile) {
  TemporaryFile before, after;
  LineFile lines(std::move(before.fd));
  lines.append("old");
  lines.reopen(std::move(after.fd));
  lines.append("new");
  lines.flush();
  EXPECT_EQ(before.content(), "old\n");
  EXPECT_EQ(after.content(), "new\n");
}

TEST(LineFile, DropsAndCountsWhatAFullDiskCannotTake) {
  LineFile lines(UniqueFd(::open("/dev/full", O_WRONLY)));
  const std::string line(1024 * 1024, 'x');
  for (int i = 0; i < 12; ++i) lines.append(line);
  EXPECT_GT(lines.dropped(), 0u);
  EXPECT_LT(lines.dropped(), 12u);
}

}  // namespace
}  // namespace fivefold
