<?php
header('Content-Type: text/plain');
for ($i = 1; $i <= 5; $i++) {
    echo "part $i\n";
    flush();
    usleep(200000);
}
