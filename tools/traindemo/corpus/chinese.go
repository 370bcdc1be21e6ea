package corpus

import "strings"

// words are the Chinese of what the tables hold, so that each fact that has them is known in both languages.
var words = table(`France=法国; Germany=德国; Italy=意大利; Spain=西班牙; Portugal=葡萄牙; England=英国; Ireland=爱尔兰; Norway=挪威; Sweden=瑞典; Finland=芬兰;
	Denmark=丹麦; Poland=波兰; Austria=奥地利; Hungary=匈牙利; Greece=希腊; Turkey=土耳其; Russia=俄罗斯; Ukraine=乌克兰; Egypt=埃及; Kenya=肯尼亚; Ghana=加纳;
	Nigeria=尼日利亚; Morocco=摩洛哥; China=中国; Japan=日本; India=印度; Thailand=泰国; Vietnam=越南; Iran=伊朗; Iraq=伊拉克; Canada=加拿大; Mexico=墨西哥;
	Cuba=古巴; Peru=秘鲁; Chile=智利; Brazil=巴西; Argentina=阿根廷; Australia=澳大利亚; Belgium=比利时; Switzerland=瑞士;
	Paris=巴黎; Berlin=柏林; Rome=罗马; Madrid=马德里; Lisbon=里斯本; London=伦敦; Dublin=都柏林; Oslo=奥斯陆; Stockholm=斯德哥尔摩; Helsinki=赫尔辛基;
	Copenhagen=哥本哈根; Warsaw=华沙; Vienna=维也纳; Budapest=布达佩斯; Athens=雅典; Ankara=安卡拉; Moscow=莫斯科; Kyiv=基辅; Cairo=开罗; Nairobi=内罗毕;
	Accra=阿克拉; Abuja=阿布贾; Rabat=拉巴特; Beijing=北京; Tokyo=东京; New Delhi=新德里; Bangkok=曼谷; Hanoi=河内; Tehran=德黑兰; Baghdad=巴格达; Ottawa=渥太华;
	Mexico City=墨西哥城; Havana=哈瓦那; Lima=利马; Santiago=圣地亚哥; Brasilia=巴西利亚; Buenos Aires=布宜诺斯艾利斯; Canberra=堪培拉; Brussels=布鲁塞尔; Bern=伯尔尼;
	Europe=欧洲; Africa=非洲; Asia=亚洲; North America=北美洲; South America=南美洲;
	banana=香蕉; lemon=柠檬; tomato=西红柿; cherry=樱桃; strawberry=草莓; carrot=胡萝卜; pumpkin=南瓜; frog=青蛙; lime=青柠; pea=豌豆; crow=乌鸦; swan=天鹅;
	snowman=雪人; flamingo=火烈鸟; pig=小猪; plum=李子; bear=熊; potato=土豆; whale=鲸鱼; mouse=老鼠;
	yellow=黄色; red=红色; orange=橙色; green=绿色; black=黑色; white=白色; pink=粉色; purple=紫色; brown=棕色; blue=蓝色; gray=灰色;
	hot=热; cold=冷; big=大; small=小; up=上; down=下; day=白天; night=黑夜; open=开; closed=关; fast=快; slow=慢; old=老; young=年轻; rich=富; poor=穷; happy=高兴;
	sad=难过; light=光明; dark=黑暗; early=早; late=晚; full=满; empty=空; wet=湿; dry=干; hard=硬; soft=软; high=高; low=低; left=左; right=右; good=好; bad=坏;
	near=近; far=远; loud=吵闹; quiet=安静; long=长; short=短;
	cow=牛; dog=狗; cat=猫; duck=鸭子; sheep=羊; lion=狮子; bee=蜜蜂; snake=蛇; horse=马; wolf=狼;
	moo=哞哞; woof=汪汪; meow=喵喵; quack=嘎嘎; baa=咩咩; roar=吼吼; ribbit=呱呱; buzz=嗡嗡; caw=哑哑; hiss=嘶嘶; neigh=咴咴; squeak=吱吱; oink=哼哼; howl=嗷嗷;
	French=法语; German=德语; Italian=意大利语; Spanish=西班牙语; Portuguese=葡萄牙语; English=英语; Norwegian=挪威语; Swedish=瑞典语; Polish=波兰语; Greek=希腊语;
	Russian=俄语; Chinese=汉语; Japanese=日语; Turkish=土耳其语;
	hive=蜂巢; nest=鸟巢; den=洞穴; web=网; castle=城堡; kennel=狗窝; stable=马厩; river=河里; tree=树上; monastery=寺庙; ship=船上; burrow=地洞;
	bird=鸟; fox=狐狸; spider=蜘蛛; king=国王; fish=鱼; owl=猫头鹰; monk=和尚; sailor=水手; rabbit=兔子`)

// table reads pairs.
func table(pairs string) map[string]string {
	all := map[string]string{}
	for pair := range strings.SplitSeq(pairs, ";") {
		x, y, _ := strings.Cut(strings.TrimSpace(pair), "=")
		all[x] = y
	}
	return all
}
