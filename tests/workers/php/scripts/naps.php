<?php
$begun = microtime(true);
usleep(400000);
echo microtime(true) - $begun;
