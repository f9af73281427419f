#pragma once
// What the server process gives up before it reads its first byte from the network.
#include "app/keeper/accounts.h"
#include "base/error.h"

namespace fivefold::app {

// Becomes `account` for good (every id, every group) and checks that there is no way back; afterwards no executed file
// can give privileges either. Where account.switch_user is false, only the latter.
Result<void> drop_privileges(const Account& account);

// Asks the kernel to kill this process when its keeper ends, and checks that it has not ended already. After
// drop_privileges(): a change of user takes the request back.
Result<void> end_with_keeper(pid_t keeper);

}  // namespace fivefold::app
