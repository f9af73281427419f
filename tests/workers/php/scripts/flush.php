<?php
while (ob_get_level()) {
    ob_end_clean();
}
echo 'He';
flush();
echo 'llo';
