<?php
set_time_limit((int) ($_GET['limit'] ?? 0));
while (true) {
}
