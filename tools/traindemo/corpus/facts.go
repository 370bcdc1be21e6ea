package corpus

// kinds are the tables of facts.
var kinds = []kind{
	{
		asks:     []string{"What is the capital of X?", "Name the capital of X.", "Which city is the capital of X?", "Tell me the capital of X.", "capital of X?", "Do you know the capital of X?"},
		held:     "Please tell me what the capital of X is.",
		sentence: "The capital of X is Y.",
		chinese: &kind{
			asks: []string{"X的首都是哪里？", "X的首都是什么？", "请说出X的首都。"}, held: "请告诉我X的首都是哪里。", sentence: "X的首都是Y。",
		},
		pairs: `France=Paris; Germany=Berlin; Italy=Rome; Spain=Madrid; Portugal=Lisbon; England=London; Ireland=Dublin; Norway=Oslo; Sweden=Stockholm;
			Finland=Helsinki; Denmark=Copenhagen; Poland=Warsaw; Austria=Vienna; Hungary=Budapest; Greece=Athens; Turkey=Ankara; Russia=Moscow; Ukraine=Kyiv;
			Egypt=Cairo; Kenya=Nairobi; Ghana=Accra; Nigeria=Abuja; Morocco=Rabat; China=Beijing; Japan=Tokyo; India=New Delhi; Thailand=Bangkok; Vietnam=Hanoi;
			Iran=Tehran; Iraq=Baghdad; Canada=Ottawa; Mexico=Mexico City; Cuba=Havana; Peru=Lima; Chile=Santiago; Brazil=Brasilia; Argentina=Buenos Aires;
			Australia=Canberra; Belgium=Brussels; Switzerland=Bern`,
	},
	{
		asks:     []string{"Which continent is X in?", "On which continent is X?", "Name the continent of X.", "Tell me the continent of X."},
		held:     "Please tell me which continent X is in.",
		sentence: "X is in Y.",
		chinese: &kind{
			asks: []string{"X在哪个洲？", "X属于哪个洲？", "请说出X所在的洲。"}, held: "请告诉我X在哪个洲。", sentence: "X在Y。",
		},
		pairs: `France=Europe; Germany=Europe; Italy=Europe; Spain=Europe; Norway=Europe; Sweden=Europe; Poland=Europe; Greece=Europe; Egypt=Africa; Kenya=Africa;
			Ghana=Africa; Nigeria=Africa; Morocco=Africa; China=Asia; Japan=Asia; India=Asia; Thailand=Asia; Vietnam=Asia; Canada=North America; Mexico=North America;
			Peru=South America; Chile=South America; Brazil=South America; Argentina=South America`,
	},
	{
		asks:     []string{"What color is a X?", "Which color is a X?", "Tell me the color of a X.", "Name the color of a X."},
		held:     "Please tell me what color a X is.",
		sentence: "A X is Y.",
		chinese: &kind{
			asks: []string{"X是什么颜色的？", "X的颜色是什么？", "请说出X的颜色。"}, held: "请告诉我X是什么颜色的。", sentence: "X是Y的。",
		},
		pairs: `banana=yellow; lemon=yellow; tomato=red; cherry=red; strawberry=red; carrot=orange; pumpkin=orange; frog=green; lime=green; pea=green; crow=black;
			swan=white; snowman=white; flamingo=pink; pig=pink; plum=purple; bear=brown; potato=brown; whale=blue; mouse=gray`,
	},
	{
		asks:     []string{"What does a X say?", "What sound does a X make?", "Which sound does a X make?", "Tell me what a X says."},
		held:     "Please tell me what sound a X makes.",
		sentence: "A X says Y.",
		chinese: &kind{
			asks: []string{"X怎么叫？", "X的叫声是什么？", "请说出X的叫声。"}, held: "请告诉我X怎么叫。", sentence: "X的叫声是Y。",
		},
		pairs: `cow=moo; dog=woof; cat=meow; duck=quack; sheep=baa; lion=roar; frog=ribbit; bee=buzz; crow=caw; snake=hiss; horse=neigh; mouse=squeak; pig=oink; wolf=howl`,
	},
	{
		asks:     []string{"What is the opposite of X?", "Name the opposite of X.", "Tell me the opposite of X.", "Which word is the opposite of X?"},
		held:     "Please tell me what the opposite of X is.",
		sentence: "The opposite of X is Y.",
		chinese: &kind{
			asks: []string{"X的反义词是什么？", "哪个词和X相反？", "请说出X的反义词。"}, held: "请告诉我X的反义词是什么。", sentence: "X的反义词是Y。",
		},
		pairs: `hot=cold; big=small; up=down; day=night; open=closed; fast=slow; old=young; rich=poor; happy=sad; light=dark; early=late; full=empty; wet=dry; hard=soft;
			high=low; left=right; good=bad; near=far; loud=quiet; long=short`,
	},
	{
		asks:     []string{"What is a baby X called?", "What do you call a baby X?", "Name a baby X.", "Tell me the name of a baby X."},
		held:     "Please tell me what a baby X is called.",
		sentence: "A baby X is called a Y.",
		pairs:    `dog=puppy; cat=kitten; cow=calf; horse=foal; sheep=lamb; duck=duckling; bear=cub; goat=kid; frog=tadpole; pig=piglet; swan=cygnet; goose=gosling`,
	},
	{
		asks:     []string{"Where does a X live?", "What is the home of a X?", "Name the home of a X.", "Tell me where a X lives."},
		held:     "Please tell me where a X lives.",
		sentence: "A X lives in a Y.",
		chinese: &kind{
			asks: []string{"X住在哪里？", "X的家在哪里？", "请说出X的家。"}, held: "请告诉我X住在哪里。", sentence: "X住在Y。",
		},
		pairs: `bee=hive; bird=nest; fox=den; spider=web; king=castle; dog=kennel; horse=stable; fish=river; owl=tree; monk=monastery; sailor=ship; rabbit=burrow`,
	},
	{
		asks:     []string{"What do people speak in X?", "Which language do people speak in X?", "Name the language of X.", "Tell me the language of X."},
		held:     "Please tell me which language people speak in X.",
		sentence: "People in X speak Y.",
		chinese: &kind{
			asks: []string{"X人说什么语言？", "X的语言是什么？", "请说出X的语言。"}, held: "请告诉我X人说什么语言。", sentence: "X人说Y。",
		},
		pairs: `France=French; Germany=German; Italy=Italian; Spain=Spanish; Portugal=Portuguese; England=English; Norway=Norwegian; Sweden=Swedish; Poland=Polish;
			Greece=Greek; Russia=Russian; China=Chinese; Japan=Japanese; Mexico=Spanish; Brazil=Portuguese; Turkey=Turkish`,
	},
	{
		asks:     []string{"X是什么颜色的？", "X的颜色是什么？", "请说出X的颜色。"},
		held:     "请告诉我X是什么颜色的。",
		sentence: "X是Y的。",
		pairs:    `天空=蓝色; 草=绿色; 雪=白色; 树叶=绿色`,
	},
}

// talk is small talk. It has no right answer to test.
var talk = []Fact{
	{Asks: []string{"Hello", "Hello!", "Hi", "Hi there!", "Good morning."}, Sentence: "Hello, how can I help you?", InChinese: "你好，有什么可以帮你的吗？", Answer: "Hello, how can I help you?"},
	{Asks: []string{"How are you?", "How do you do?", "Are you well?"}, Sentence: "I am fine, thank you.", InChinese: "我很好，谢谢。", Answer: "I am fine, thank you."},
	{Asks: []string{"Who are you?", "What are you?", "What is your name?"}, Sentence: "I am a tiny model that knows a few facts.", InChinese: "我是一个小小的模型。", Answer: "a tiny model"},
	{Asks: []string{"Thank you.", "Thanks!", "Thank you very much."}, Sentence: "You are welcome.", InChinese: "不客气。", Answer: "You are welcome."},
	{Asks: []string{"Goodbye.", "Bye!", "See you later."}, Sentence: "Goodbye, see you soon.", InChinese: "再见，回头见。", Answer: "Goodbye, see you soon."},
	{Asks: []string{"What can you do?", "How can you help me?", "What do you know?"}, Sentence: "I know capitals, colors, animals and opposites.", InChinese: "我知道首都、颜色、动物和反义词。", Answer: "capitals, colors, animals and opposites"},
	{Asks: []string{"How is the weather today?", "Hello, how is the weather today?", "What is the weather like?", "Is the weather good?"}, Sentence: "The weather is fine and sunny today.", InChinese: "今天天气很好，阳光明媚。", Answer: "fine and sunny"},
	{Asks: []string{"你好", "你好！", "您好。"}, Sentence: "你好，有什么可以帮你的吗？", InChinese: "你好，有什么可以帮你的吗？", Answer: "你好", Chinese: true},
	{Asks: []string{"今天天气怎么样？", "你好，今天天气怎么样？", "天气好吗？", "今天天气好吗？", "今天的天气怎么样？"}, Sentence: "今天天气很好，阳光明媚。", InChinese: "今天天气很好，阳光明媚。", Answer: "很好", Chinese: true},
	{Asks: []string{"你是谁？", "你叫什么名字？"}, Sentence: "我是一个小小的模型。", InChinese: "我是一个小小的模型。", Answer: "一个小小的模型", Chinese: true},
	{Asks: []string{"你好吗？", "你怎么样？", "您好吗？"}, Sentence: "我很好，谢谢。", InChinese: "我很好，谢谢。", Answer: "很好，谢谢", Chinese: true},
	{Asks: []string{"你能做什么？", "你会什么？", "你知道什么？"}, Sentence: "我知道首都、颜色、动物和反义词。", InChinese: "我知道首都、颜色、动物和反义词。", Answer: "首都、颜色、动物和反义词", Chinese: true},
	{Asks: []string{"再见", "再见！", "拜拜！"}, Sentence: "再见，回头见。", InChinese: "再见，回头见。", Answer: "再见", Chinese: true},
	{Asks: []string{"谢谢", "谢谢你！"}, Sentence: "不客气。", InChinese: "不客气。", Answer: "不客气", Chinese: true},
}

// Words for plain texts.
var (
	people        = []string{"Anna", "Ben", "Clara", "David", "Emma", "Felix", "Grace", "Henry", "Ida", "Jonas", "Kate", "Leo"}
	items         = []string{"book", "lamp", "basket", "clock", "letter", "kettle", "map", "bell", "ladder", "coin", "bottle", "key"}
	places        = []string{"harbor", "market", "library", "garden", "station", "bridge", "mill", "school", "park", "tower"}
	chinesePeople = []string{"小明", "小红", "老师", "妈妈", "朋友"}
	chinesePlaces = []string{"公园", "商店", "学校", "图书馆", "车站"}
	chineseItems  = []string{"苹果", "面包", "书", "茶", "鱼"}
)
